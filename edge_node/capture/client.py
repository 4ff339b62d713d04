"""A worker's side of the frame socket: connects, connects again, shows the newest frame, counts what it missed.

    with FrameClient(path) as frames:
        while running:
            frame = frames.next(timeout_s=0.5)
            if frame is not None:
                made = ...                      # of frame.rgb, and keeping nothing of it
                if frames.intact(frame):
                    ...

Not for several threads at a time, except `interrupt`.
"""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import msgspec

from edge_node.capture.connecting import Connect, connect_to
from edge_node.capture.frames import RGB
from edge_node.capture.messages import Ready, Ring, SourceState, ToSubscriber, Want
from edge_node.capture.ring import RingReader

_NO_CAPTURE = "connecting to the capture"
_RETRY_S = 0.1
_MESSAGE_BYTES = 4096


@dataclass(frozen=True)
class CapturedFrame:
    """A frame of the source, as it lies in the shared memory: megabytes that need no copy.

    `rgb` is to be used before the next `FrameClient.next`, and what was made of it to be thrown away where the frame
    is not `intact` afterwards.
    """

    rgb: RGB
    captured_ns: int
    stream_time_s: float | None
    ring: RingReader
    version: int


class FrameClient:
    """One subscription to one source."""

    def __init__(self, path: str, connect: Connect = connect_to, *, pipeline: str = "", watching: bool = False) -> None:
        """Prepare; nothing is connected before the first `next`.

        Args:
            path: of the capture's socket.
            connect: makes the connections: a worker that may make none itself is handed them.
            pipeline: whom the frames are for.
            watching: only frames that another subscriber takes for this pipeline; see `Want`.
        """
        self.state = _NO_CAPTURE
        """of the source"""
        self.dropped = 0
        """frames that the source had while we were not waiting, or that it overwrote while they were in use"""
        self.ingress_bytes = 0
        """what the source took in, encoded, while we were subscribed"""
        self._path = path
        self._connect_to = connect
        self._pipeline = pipeline
        self._watching = watching
        self._connection: socket.socket | None = None
        self._ring: RingReader | None = None
        self._sequence: int | None = None
        self._ingress_seen = 0
        self._waiting = False
        self._closed = False
        self._messages = msgspec.msgpack.Decoder(ToSubscriber)
        self._encoder = msgspec.msgpack.Encoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def next(self, timeout_s: float) -> CapturedFrame | None:
        """The next frame that the source has for us; None where none came in time, or we are not connected."""
        deadline = time.monotonic() + timeout_s
        while not self._closed:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return None
            if self._connection is None and not self._connect():
                time.sleep(min(_RETRY_S, remaining_s))
                continue
            self._want()
            frame = self._receive(remaining_s)
            if frame is not None:
                return frame
        return None

    def intact(self, frame: CapturedFrame) -> bool:
        """Whether what was made of a frame until now was made of all of it; if not, the frame counts as dropped."""
        held = frame.ring.holds(frame.version)
        self.dropped += not held
        return held

    def interrupt(self) -> None:
        """End a `next` that waits in another thread, and let none follow."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            with suppress(OSError):  # the capture was faster
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the subscription. Idempotent."""
        self._closed = True
        self._lost()

    def _connect(self) -> bool:
        connection = self._connect_to(self._path)
        if connection is None:
            return False
        connection.setblocking(True)
        self._connection = connection
        self._sequence = None
        self._waiting = False
        return True

    def _receive(self, timeout_s: float) -> CapturedFrame | None:
        """One message; the frame that it announces, if it does."""
        if self._connection is None:
            return None
        self._connection.settimeout(timeout_s)
        try:
            data, fds, _, _ = socket.recv_fds(self._connection, _MESSAGE_BYTES, 1)
        except TimeoutError:
            return None
        except OSError:
            data, fds = b"", []
        if not data:
            self._lost()
            return None
        return self._understand(self._messages.decode(data), fds)

    def _understand(self, message: ToSubscriber, fds: list[int]) -> CapturedFrame | None:
        match message:
            case SourceState(text):
                self.state = text
            case Ring(slots, slot_bytes, _):
                self._ring = RingReader(fds[0], slots, slot_bytes)
            case Ready():
                return self._read(message)
        return None

    def _read(self, ready: Ready) -> CapturedFrame | None:
        assert self._ring is not None
        self._count(ready)
        self._waiting = False
        rgb = self._ring.view(ready.version, ready.height, ready.width)
        return CapturedFrame(rgb, ready.captured_ns, ready.stream_time_s, self._ring, ready.version)

    def _count(self, ready: Ready) -> None:
        if self._sequence is not None:
            self.dropped += ready.sequence - self._sequence - 1
            self.ingress_bytes += ready.ingress_bytes - self._ingress_seen
        self._sequence = ready.sequence
        self._ingress_seen = ready.ingress_bytes

    def _want(self) -> None:
        """Ask for the next frame, once: not before the caller is ready for it, so that it is as new as can be."""
        if self._connection is None or self._waiting:
            return
        try:
            self._connection.send(self._encoder.encode(Want(self._sequence or 0, self._pipeline, self._watching)))
            self._waiting = True
        except OSError:
            self._lost()

    def _lost(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._ring = None
        if not self.state.startswith("failed"):
            self.state = _NO_CAPTURE
