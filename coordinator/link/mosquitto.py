"""Mosquitto as a managed child: configured, started, watched, restarted, and never left behind.

The child ends with the coordinator even when the coordinator is killed (`setpriv --pdeathsig`, util-linux). What the
configuration raises: Mosquitto's own default silently drops QoS 1 messages beyond 1,000 queued per subscriber.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import random
from pathlib import Path
from typing import Literal

from coordinator.errors import BadInput
from coordinator.link.listening import HOST, find_program, free_port
from coordinator.link.reconnect import Backoff, reconnect_delay
from protos.topics import MAX_PAYLOAD

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
RESTART = Backoff(shortest_s=0.2, longest_s=10.0)

CONFIGURATION = """\
# Written by edge-coordinator at every start; changes are lost.
listener {port} {host}
allow_anonymous true
user {user}
persistence true
persistence_location {folder}/
autosave_interval 30
max_queued_messages 200000
max_queued_bytes 0
max_inflight_messages 1000
message_size_limit {message_size_limit}
set_tcp_nodelay true
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
connection_messages false
"""

log = logging.getLogger(__name__)


class Mosquitto:
    """One Mosquitto on the loopback interface, with its files in a folder of its own."""

    kind: Literal["managed"] = "managed"

    def __init__(self, path: str, folder: Path, port: int) -> None:
        self._path = path
        self._folder = folder
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtt://{HOST}:{self._port}"

    async def start(self) -> None:
        """Write the configuration, run it, return when it accepts connections.

        Raises:
            BadInput: the port is in use, the folder cannot be written, or Mosquitto ends at once (with its last line).
        """
        self._port = free_port(self._port)
        self._configure()
        await self._spawn()
        self._watch = asyncio.create_task(self._restart_when_it_dies(), name="mosquitto")

    async def stop(self) -> None:
        """End it, with force if it does not listen."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._end()

    def _configure(self) -> None:
        text = CONFIGURATION.format(
            port=self._port,
            host=HOST,
            user=pwd.getpwuid(
                os.geteuid()
            ).pw_name,  # started as root it would change to a user that may not write here
            folder=self._folder.resolve(),
            message_size_limit=2 * MAX_PAYLOAD,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{self._folder}: {error.strerror}: the broker keeps its files there") from None

    @property
    def _file(self) -> Path:
        return self._folder / "mosquitto.conf"

    async def _spawn(self) -> None:
        """Start the child from the event loop's thread: the death signal is bound to the thread that forks."""
        setpriv = find_program("setpriv")
        bound = [] if setpriv is None else [setpriv, "--pdeathsig", "TERM", "--"]
        self._process = await asyncio.create_subprocess_exec(
            *bound,
            self._path,
            "-c",
            str(self._file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is for the coordinator, which ends it last
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._accepts(self._process)
        except TimeoutError:
            await self._end()
            raise BadInput(f"mosquitto did not listen on {HOST}:{self._port} in {START_TIMEOUT_S:g} s") from None

    async def _accepts(self, process: asyncio.subprocess.Process) -> None:
        while process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self._port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.02)
        raise BadInput(f"mosquitto ended with code {process.returncode}: {self._last_line()}")

    async def _restart_when_it_dies(self) -> None:
        attempt = 0
        while self._process is not None:
            code = await self._process.wait()
            delay = reconnect_delay(RESTART, attempt, False, random.random())  # noqa: S311 (jitter)
            log.warning(
                "mosquitto ended with code %s (%s): starting it again in %.1f s", code, self._last_line(), delay
            )
            await asyncio.sleep(delay)
            try:
                await self._spawn()
            except BadInput as error:
                log.warning("%s", error)
                attempt += 1
            else:
                attempt = 0

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _last_line(self) -> str:
        file = self._folder / "mosquitto.log"
        with contextlib.suppress(OSError):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            if lines:
                return lines[-1].partition(": ")[2]
        return f"see {file}"
