"""What was handed to the MQTT library and is not yet confirmed, bounded in messages and in bytes.

paho bounds its QoS 1 queue in messages only and its QoS 0 queue not at all; a stalled broker would fill memory.
Confirmations come in order (a broker acknowledges in order, a socket writes in order), so that only the oldest
entries are ever looked at.
"""

import threading
from collections import deque
from typing import Protocol


class Handle(Protocol):
    """A message handed over: paho's MQTTMessageInfo."""

    def is_published(self) -> bool:
        """Whether it was acknowledged (QoS 1) or written (QoS 0)."""


class Window:
    """Counts what is under way. Thread-safe: ask `has_room`, then `add` what was accepted."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._pending: deque[tuple[Handle, int]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes may be added. One larger than the window goes alone."""
        with self._lock:
            while self._pending and self._pending[0][0].is_published():
                self._bytes -= self._pending.popleft()[1]
            if not self._pending:
                return True
            return len(self._pending) < self._max_messages and self._bytes + size <= self._max_bytes

    def add(self, handle: Handle, size: int) -> None:
        """Count a message that was handed over."""
        with self._lock:
            self._pending.append((handle, size))
            self._bytes += size

    def unconfirmed(self) -> list[Handle]:
        """What is not yet confirmed, oldest first."""
        with self._lock:
            return [handle for handle, _ in self._pending if not handle.is_published()]
