"""A capture in threads of the agent: isolation "thread", for devices with little memory."""

import asyncio
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_node.capture.capturing import Capturing
from edge_node.capture.messages import CaptureConfig, CaptureReport
from edge_node.capture.restart import restart_for_ever
from edge_node.config import Source
from edge_node.errors import BadInput


class ThreadCapture:
    """The agent's handle on a capture in its own process; see `handle.Capture`."""

    def __init__(self, name: str, source: Source, socket_dir: Path) -> None:
        self.name = name
        self.socket = socket_dir / f"capture-{name}.sock"
        self.on_exit: Callable[[str], None] = lambda _: None
        self._source = source
        self._capturing: Capturing | None = None
        self._failed = CaptureReport("starting")
        self._lives: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    @property
    def report(self) -> CaptureReport:
        """How the source is doing."""
        return self._failed if self._capturing is None else self._capturing.report()

    async def start(self) -> None:
        """Start the threads."""
        self._lives = asyncio.create_task(restart_for_ever(self._live, self._died), name=f"capture {self.name}")
        await self._started.wait()

    async def close(self) -> None:
        """Stop the threads. One that waits for a camera ends when that answers or its time is over."""
        if self._lives is None:
            return
        self._lives.cancel()
        await asyncio.gather(self._lives, return_exceptions=True)
        self._lives = None

    async def _live(self) -> str:
        """One capture until it fails; the reason. One that has come to its end waits to be closed."""
        config = CaptureConfig(self.name, self._source, str(self.socket))
        try:
            capturing = Capturing(config, lambda: None)
            capturing.listen()
        except BadInput as error:
            return f"failed: {error}"
        self._capturing = capturing
        self._started.set()
        loop = asyncio.get_running_loop()
        failure: Future[str] = loop.create_future()
        threading.Thread(target=_run, args=(capturing, loop, failure), name=f"capture-{self.name}", daemon=True).start()
        try:
            return await failure
        finally:
            self._capturing = None
            await asyncio.to_thread(capturing.stop)

    def _died(self, reason: str, delay_s: float) -> None:
        self._failed = CaptureReport(f"{reason}; starting again in {delay_s:.1f} s")
        self._started.set()
        self.on_exit(reason)


def _run(capturing: Capturing, loop: AbstractEventLoop, failure: "Future[str]") -> None:
    try:
        capturing.run()
    except BadInput as error:
        with suppress(RuntimeError):  # the loop has ended, and with it everybody who would ask
            loop.call_soon_threadsafe(failure.set_result, f"failed: {error}")
