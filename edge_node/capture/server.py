"""Hands the frames of one source to its subscribers: a Unix socket, and shared memory behind it.

Rules:
- A frame is converted to RGB and written only where a subscriber waits for one. A subscriber waits from its `Want`
  until its next `Ready`.
- Newest wins: who is busy when a frame comes misses it, and sees so by the gap in the sequence.
- Lossless: every subscriber gets every frame; the source waits while there is none, and while the slowest has not
  read the frame whose slot comes next.
- Who only watches a pipeline gets the frames that this pipeline takes, where it waits for one; it counts for nothing
  else, so that a watcher that is slow or hangs costs nobody a frame.

`offer` is called by the thread that decodes; a thread of its own listens to the subscribers.
"""

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.capture.frames import Decoded
from edge_node.capture.messages import Ready, Ring, SourceState, ToSubscriber, Want
from edge_node.capture.ring import SLOTS, RingWriter
from edge_node.errors import BadInput

_BACKLOG = 16
_MESSAGE_BYTES = 4096


class _Subscriber:
    """A connection: what it has read, whether it waits, for which pipeline, and whether it only watches that.

    Until it has said so, it counts for nothing: whoever connects and says nothing holds nobody up.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.through = 0
        self.begun = self.waiting = self.watching = False
        self.pipeline = ""

    def wants(self, want: Want, sequence: int) -> None:
        """It said so; it begins with the frame that comes after `sequence`."""
        self.through = max(self.through, want.through) if self.begun else sequence
        self.pipeline, self.watching = want.pipeline, want.watching
        self.begun = self.waiting = True


class FrameServer:
    """The frames of one source, for any number of workers. `listen` before `offer`; `close` from any thread."""

    def __init__(self, path: Path, *, lossless: bool) -> None:
        self.published = 0
        self.ingress_bytes = 0
        self._path = path
        self._lossless = lossless
        self._sequence = 0
        self._state = SourceState("starting")
        self._ring: RingWriter | None = None
        self._subscribers: dict[socket.socket, _Subscriber] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._encoder = msgspec.msgpack.Encoder()
        self._wants = msgspec.msgpack.Decoder(Want)

    @property
    def subscribers(self) -> int:
        """How many are connected."""
        return len(self._subscribers)

    def listen(self) -> None:
        """Accept subscribers from now on. A socket left behind by a capture that died is replaced.

        Raises:
            BadInput: no socket can be made there; a Unix socket's path has at most about 100 characters.
        """
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._path.unlink(missing_ok=True)
            self._listener.bind(str(self._path))
            self._path.chmod(0o600)
        except OSError as error:
            self._listener.close()
            reason = error.strerror or str(error)
            raise BadInput(f"no socket can be made at {self._path}: {reason}: choose another state folder") from None
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="frame-server", daemon=True)
        self._thread.start()

    def wait_for_subscriber(self) -> bool:
        """Wait until somebody wants a frame. False: the server was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting())
            return not self._closed

    def offer(self, frame: Decoded) -> None:
        """Count a frame, and hand it to those who wait; in lossless mode wait until it fits."""
        with self._changed:
            self._sequence += 1
            self.ingress_bytes += frame.bytes_in
            if self._lossless:
                self._changed.wait_for(lambda: self._closed or self._has_room())
            takers = self._takers()
            if self._closed or not takers:
                return
        # Converting takes milliseconds: not under the lock. Nobody else writes the ring or makes a taker busy.
        rgb = frame.to_rgb()
        ring = self._ring_for(rgb.nbytes)
        version = ring.write(rgb)
        height, width, _ = rgb.shape
        self.published += 1
        ready = Ready(
            self._sequence, version, width, height, frame.captured_ns, frame.stream_time_s, self.ingress_bytes
        )
        with self._changed:
            for taker in takers:
                taker.waiting = False
                self._send(taker, ready)

    def pass_over(self, frame: Decoded) -> None:
        """Count what a frame cost that is not to be seen."""
        self.ingress_bytes += frame.bytes_in

    def tell(self, state: str) -> None:
        """Tell every subscriber, also those that come later, how the source is."""
        with self._changed:
            self._state = SourceState(state)
            for subscriber in list(self._subscribers.values()):
                self._send(subscriber, self._state)

    def close(self) -> None:
        """Part with the subscribers and remove the socket."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        with suppress(OSError):  # the listener has seen it already
            self._waker.send(b"x")
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _counting(self) -> list[_Subscriber]:
        """The subscribers whose frames these are."""
        return [one for one in self._subscribers.values() if one.begun and not one.watching]

    def _waiting(self) -> list[_Subscriber]:
        return [subscriber for subscriber in self._counting() if subscriber.waiting]

    def _takers(self) -> list[_Subscriber]:
        """Who gets the frame that has come, watchers last."""
        takers = self._counting() if self._lossless else self._waiting()
        pipelines = {taker.pipeline for taker in takers}
        watchers = (subscriber for subscriber in self._subscribers.values() if subscriber.watching)
        return [*takers, *(one for one in watchers if one.waiting and one.pipeline in pipelines)]

    def _has_room(self) -> bool:
        slowest = min((subscriber.through for subscriber in self._counting()), default=None)
        return slowest is not None and slowest >= self._sequence - SLOTS

    def _ring_for(self, size: int) -> RingWriter:
        """The ring, or a larger one where the frame does not fit: a camera may change its resolution."""
        if self._ring is None or self._ring.slot_bytes < size:
            old, self._ring = self._ring, RingWriter(size)
            with self._changed:
                for subscriber in list(self._subscribers.values()):
                    self._send_ring(subscriber, self._ring)
            if old is not None:
                old.close()
        return self._ring

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener, self._wake, self._waker:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._closed:
                for key, _ in selector.select():
                    if key.fileobj is self._listener:
                        self._accept(selector)
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._subscribers:
                        self._receive(self._subscribers[key.fileobj], selector)
        for subscriber in list(self._subscribers.values()):
            subscriber.connection.close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        with self._changed:
            subscriber = _Subscriber(connection)
            self._subscribers[connection] = subscriber
            self._send(subscriber, self._state)
            if self._ring is not None:
                self._send_ring(subscriber, self._ring)

    def _receive(self, subscriber: _Subscriber, selector: selectors.BaseSelector) -> None:
        try:
            message = subscriber.connection.recv(_MESSAGE_BYTES)
            want = self._wants.decode(message) if message else None
        except (OSError, msgspec.MsgspecError):
            want = None
        with self._changed:
            if want is None:
                selector.unregister(subscriber.connection)
                del self._subscribers[subscriber.connection]
                subscriber.connection.close()
            else:
                subscriber.wants(want, self._sequence)
            self._changed.notify_all()

    def _send_ring(self, subscriber: _Subscriber, ring: RingWriter) -> None:
        message = self._encoder.encode(Ring(ring.slots, ring.slot_bytes, self._lossless))
        try:
            socket.send_fds(subscriber.connection, [message], [ring.fd])
        except OSError:
            self._hang_up(subscriber)

    def _send(self, subscriber: _Subscriber, message: ToSubscriber) -> None:
        try:
            subscriber.connection.send(self._encoder.encode(message))
        except OSError:
            self._hang_up(subscriber)

    def _hang_up(self, subscriber: _Subscriber) -> None:
        """A subscriber that is gone, or whose socket is full though it owes no answer; the listener removes it."""
        with suppress(OSError):  # not connected any more
            subscriber.connection.shutdown(socket.SHUT_RDWR)
