"""Decides whether bytes may leave now under the node's `max_kbit_s`. A leaky bucket; no clock in here.

A message may leave while the bucket is not empty, and takes all its bytes: the balance may fall below zero, so that a
message larger than what has gathered is late, never stuck. Over any longer time the average holds.
"""

BURST_S = 10.0
"""So many seconds' worth gather while nothing is sent."""


class Budget:
    """The bytes that may leave. `now` is in seconds of any clock that does not jump."""

    def __init__(self, max_kbit_s: float | None, now: float) -> None:
        self._rate = None if max_kbit_s is None else max_kbit_s * 1000 / 8
        self._balance = 0.0 if self._rate is None else self._rate * BURST_S
        self._at = now

    def may_leave(self, now: float) -> bool:
        """Whether a message may leave at this time."""
        if self._rate is None:
            return True
        self._balance = min(self._rate * BURST_S, self._balance + (now - self._at) * self._rate)
        self._at = now
        return self._balance > 0

    def take(self, size: int) -> None:
        """So many bytes left."""
        if self._rate is not None:
            self._balance -= size
