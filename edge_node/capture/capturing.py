"""Captures one source: takes its frames, thins and paces them, and offers them to the subscribers.

The same object runs in a process of its own (`process`) or in threads of the agent (`inline`).
"""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from edge_node.capture.frames import Decoded
from edge_node.capture.messages import CaptureConfig, CaptureReport
from edge_node.capture.pacing import Pace, Thinning
from edge_node.capture.server import FrameServer
from edge_node.capture.sources import open_source
from edge_node.errors import BadInput

_NANO = 1e9


class Capturing:
    """One source from its first frame to its last. `on_state` is called on the thread of `run`."""

    def __init__(self, config: CaptureConfig, on_state: Callable[[], None]) -> None:
        self._config = config
        self._on_state = on_state
        self._stopping = Event()
        self._state = "starting"
        self._decoded = 0
        self._source = open_source(config.source)
        lossless = not config.source.realtime and not self._source.live
        self._server = FrameServer(Path(config.socket), lossless=lossless)

    def listen(self) -> None:
        """Let workers subscribe.

        Raises:
            BadInput: the socket cannot be made.
        """
        self._server.listen()

    def run(self) -> None:
        """Capture until the source ends or `stop` is called. Then the socket still tells the source's state.

        Raises:
            BadInput: the source cannot be used.
        """
        try:
            # A file begins when somebody looks; a camera connects at once, so that its state is known.
            if self._source.live or self._server.wait_for_subscriber():
                self._take_all()
        except BadInput as error:
            self._tell(f"failed: {error}")
            raise
        self._tell("ended")

    def stop(self) -> None:
        """End the capture and remove the socket, from any thread. Idempotent."""
        self._stopping.set()
        self._server.close()

    def report(self) -> CaptureReport:
        """State and counters."""
        server = self._server
        return CaptureReport(self._state, self._decoded, server.published, server.ingress_bytes, server.subscribers)

    def _take_all(self) -> None:
        thinning = Thinning(self._config.source.fps)
        pace = Pace()
        for frame in self._source.frames(self._tell, self._stopping):
            self._decoded += 1
            time_s = frame.captured_ns / _NANO if self._source.live else frame.stream_time_s
            if not thinning.keeps(time_s):
                self._server.pass_over(frame)
                continue
            if self._config.source.realtime and not self._source.live:
                self._stopping.wait(pace.wait_s(frame.stream_time_s, time.monotonic()))
            if self._stopping.is_set():
                return
            self._server.offer(self._stamped(frame))

    def _stamped(self, frame: Decoded) -> Decoded:
        """A file's frame is captured when it is played, not when it is decoded."""
        if self._source.live:
            return frame
        return Decoded(frame.stream_time_s, time.time_ns(), frame.bytes_in, frame.to_rgb)

    def _tell(self, state: str) -> None:
        self._state = state
        self._server.tell(state)
        self._on_state()
