"""What of QoS 0 the MQTT library has not written to its socket, bounded in bytes: the library itself has no bound.

A socket writes in order, so that only the oldest entries are ever looked at.
"""

import threading
from collections import deque
from typing import Protocol


class Handle(Protocol):
    """A message handed over: paho's MQTTMessageInfo."""

    def is_published(self) -> bool:
        """Whether it was written. May raise RuntimeError: it was lost with its connection."""


class Unwritten:
    """Thread-safe: ask `has_room`, then `add` what was handed over."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending: deque[tuple[Handle, int]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def has_room(self) -> bool:
        """Whether another message may be handed over."""
        with self._lock:
            while self._pending and _is_over(self._pending[0][0]):
                self._bytes -= self._pending.popleft()[1]
            return self._bytes < self._max_bytes

    def add(self, handle: Handle, size: int) -> None:
        """Count a message that was handed over."""
        with self._lock:
            self._pending.append((handle, size))
            self._bytes += size


def _is_over(handle: Handle) -> bool:
    try:
        return handle.is_published()
    except RuntimeError:
        return True
