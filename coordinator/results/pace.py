"""Decides whether one more may go now: so many a second on average, some of them at once. A leaky bucket; no clock."""


class Pace:
    """`take` answers for each one. `now` is in seconds of any clock that does not jump."""

    def __init__(self, a_second: float, at_once: float, now: float) -> None:
        self._rate, self._most = a_second, at_once
        self._left = at_once
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there is room for one; it is used then."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
