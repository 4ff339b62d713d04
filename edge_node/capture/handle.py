"""The agent's view of a capture, whether a process or a thread. No decoder and no numpy here.

    capture = open_capture("process", "shelf", source, socket_dir)
    await capture.start()
    worker.start(PipelineRun(..., source=str(capture.socket)))
    await capture.close()

A capture that dies is started again with backoff, for as long as it has not been closed; `report.state` says so.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, cast

from edge_node.capture.messages import CaptureReport
from edge_node.config import Source


class Capture(Protocol):
    """A source that is being captured. All methods run on the agent's event loop."""

    name: str
    socket: Path
    """where workers find the frames: `PipelineRun.source`"""
    on_exit: Callable[[str], None]
    """called each time the capture dies by itself, with the reason; it is restarted without the caller's help"""

    @property
    def report(self) -> CaptureReport:
        """How the source is doing, newest."""

    async def start(self) -> None:
        """Begin to capture. Returns once the socket accepts subscribers."""

    async def close(self) -> None:
        """End the capture. Idempotent."""


def open_capture(isolation: Literal["process", "thread"], name: str, source: Source, socket_dir: Path) -> Capture:
    """A capture that has not been started, of the chosen isolation."""
    if isolation == "process":
        from edge_node.capture.child import ProcessCapture

        return ProcessCapture(name, source, socket_dir)
    inline = importlib.import_module("edge_node.capture.inline")  # by name: it brings a decoder into this process
    return cast("Capture", inline.ThreadCapture(name, source, socket_dir))
