"""Mosquitto as a managed child: configured, started, watched, restarted, and never left behind.

The child ends with the coordinator even when the coordinator is killed (`setpriv --pdeathsig`, util-linux). It begins
with the access rules of that moment; changes reach it over MQTT (`access_control.py`). What its configuration says is
in `mosquitto_files.py`.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import random
import signal
from pathlib import Path
from typing import Literal

from coordinator.errors import BadInput
from coordinator.link.access import AccessTable
from coordinator.link.listening import authority_of, dialled, find_program, free_port
from coordinator.link.mosquitto_files import Listener, find_plugin, listener_lines, rules_json
from coordinator.link.reconnect import Backoff, reconnect_delay
from coordinator.link.tls import TlsFiles, server_context
from protos.topics import Topics

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
RESTART = Backoff(shortest_s=0.2, longest_s=10.0)

OWN_LINES = """\
user {user}
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
connection_messages false
"""

log = logging.getLogger(__name__)


class Mosquitto:
    """One Mosquitto, with its files in a folder of its own."""

    kind: Literal["managed"] = "managed"

    def __init__(
        self, path: str, folder: Path, host: str, port: int, tls: TlsFiles, table: AccessTable, topics: Topics
    ) -> None:
        self._path = path
        self._folder = folder
        self._host = host
        self._port = port
        self._tls = tls
        self._topics = topics
        self._rules = rules_json(table, topics)
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtts://{authority_of(self._host, self._port)}"

    async def start(self) -> None:
        """Write the configuration, run it, return when it accepts connections.

        Raises:
            BadInput: the port is in use, the folder cannot be written, the certificate cannot be used, the plugin is
                not installed, or Mosquitto ends at once (with its last line).
        """
        server_context(self._tls)
        self._port = free_port(self._host, self._port)
        await self._spawn()
        self._watch = asyncio.create_task(self._restart_when_it_dies(), name="mosquitto")

    async def stop(self) -> None:
        """End it, with force if it does not listen."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._end()

    def set_access(self, table: AccessTable) -> None:
        """The rules that it starts with when it dies and is started again; the one that runs is told over MQTT."""
        self._rules = rules_json(table, self._topics)

    def renew(self) -> None:
        """The certificate's files are new: Mosquitto reads them again.

        Raises:
            BadInput: they cannot be used; the old ones stay.
        """
        server_context(self._tls)
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    def _configure(self) -> None:
        listener = Listener.of(self._host, self._port, self._tls, find_plugin(), self._folder)
        # started as root it would change to a user that may not write here
        own = OWN_LINES.format(user=pwd.getpwuid(os.geteuid()).pw_name, folder=self._folder.resolve())
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.write_text(listener_lines(listener) + own, encoding="utf-8")
            Path(listener.rules).write_text(self._rules, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{self._folder}: {error.strerror}: the broker keeps its files there") from None

    @property
    def _file(self) -> Path:
        return self._folder / "mosquitto.conf"

    async def _spawn(self) -> None:
        """Start the child from the event loop's thread: the death signal is bound to the thread that forks.

        Its files are written anew: the plugin's could be half written where Mosquitto died.
        """
        self._configure()
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
            where = authority_of(self._host, self._port)
            raise BadInput(f"mosquitto did not listen on {where} in {START_TIMEOUT_S:g} s") from None

    async def _accepts(self, process: asyncio.subprocess.Process) -> None:
        while process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(dialled(self._host), self._port)
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
