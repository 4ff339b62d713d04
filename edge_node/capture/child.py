"""A capture as a process of its own: isolation "process"."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.capture.messages import CaptureConfig, CaptureReport
from edge_node.capture.restart import restart_for_ever
from edge_node.config import Source

_COMMAND = (sys.executable, "-P", "-m", "edge_node.capture")  # -P: modules are not looked for in the current folder
_CLOSE_S = 2.0


class ProcessCapture:
    """The agent's handle on a capture process; see `handle.Capture`."""

    def __init__(self, name: str, source: Source, socket_dir: Path) -> None:
        self.name = name
        self.socket = socket_dir / f"capture-{name}.sock"
        self.report = CaptureReport("starting")
        self.on_exit: Callable[[str], None] = lambda _: None
        self.pid: int | None = None
        self._source = source
        self._process: Process | None = None
        self._lives: asyncio.Task[None] | None = None
        self._first_report = asyncio.Event()

    async def start(self) -> None:
        """Spawn the process and wait for its first report."""
        self._lives = asyncio.create_task(restart_for_ever(self._live, self._died), name=f"capture {self.name}")
        await self._first_report.wait()

    async def close(self) -> None:
        """Close the process's standard input, which ends it; kill it where it hangs."""
        if self._lives is None:
            return
        self._lives.cancel()
        await asyncio.gather(self._lives, return_exceptions=True)
        self._lives = None

    async def _live(self) -> str:
        """One process from start to end; the reason of its end."""
        try:
            # A session of its own: Ctrl-C in a terminal is the agent's to handle.
            process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=PIPE, stdout=PIPE, start_new_session=True)
        except OSError as error:
            return f"failed: no process can be started: {error.strerror}"
        self.pid = process.pid
        try:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(self._config()) + b"\n")
            await self._follow(process)
            return _reason(await process.wait(), self.report)
        finally:
            await _end(process)

    async def _follow(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            with suppress(msgspec.DecodeError):  # half a line of a process that was killed
                self.report = msgspec.json.decode(line, type=CaptureReport)
                self._first_report.set()

    def _died(self, reason: str, delay_s: float) -> None:
        self.report = CaptureReport(f"{reason}; starting again in {delay_s:.1f} s")
        self._first_report.set()
        self.on_exit(reason)

    def _config(self) -> CaptureConfig:
        return CaptureConfig(self.name, self._source, str(self.socket))


def _reason(returncode: int, last: CaptureReport) -> str:
    if last.state.startswith("failed"):
        return last.state
    if returncode < 0:
        return f"failed: the capture was killed by {signal.Signals(-returncode).name}"
    return f"failed: the capture ended with exit code {returncode}"


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _CLOSE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
