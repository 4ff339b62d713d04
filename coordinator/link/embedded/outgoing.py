"""Decides what a subscriber is sent next: QoS 1 messages in order, so many unacknowledged, so much waiting. No socket.

QoS 0 messages are never queued: what a slow subscriber cannot take now is dropped, as the protocol allows. QoS 1
messages wait, in memory, up to a bound; beyond it the newest is dropped and counted.
"""

from collections import deque
from dataclasses import replace

from coordinator.link.embedded.packets import Publish

MAX_UNACKNOWLEDGED = 1000
MAX_WAITING_BYTES = 64 * 1024 * 1024
OVERHEAD = 200
"""Roughly what a waiting message costs beside its payload, bytes."""


class Outgoing:
    """The messages on their way to one subscriber."""

    def __init__(
        self, max_unacknowledged: int = MAX_UNACKNOWLEDGED, max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        self._max_unacknowledged = max_unacknowledged
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[Publish] = deque()
        self._waiting_bytes = 0
        self._unacknowledged: set[int] = set()
        self._last_id = 0
        self.dropped = 0
        """QoS 1 messages that found no room."""

    def put(self, message: Publish) -> None:
        """Queue a QoS 1 message."""
        size = len(message.payload) + OVERHEAD
        if self._waiting_bytes + size > self._max_waiting_bytes:
            self.dropped += 1
            return
        self._waiting.append(message)
        self._waiting_bytes += size

    def take(self) -> Publish | None:
        """The next message to send, with its packet id, or None: nothing waits, or acknowledgements must come first."""
        if not self._waiting or len(self._unacknowledged) >= self._max_unacknowledged:
            return None
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message.payload) + OVERHEAD
        return replace(message, packet_id=self._next_id())

    def acknowledged(self, packet_id: int) -> None:
        """A PUBACK came; unknown ones are ignored."""
        self._unacknowledged.discard(packet_id)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self._unacknowledged:
                self._unacknowledged.add(self._last_id)
                return self._last_id
