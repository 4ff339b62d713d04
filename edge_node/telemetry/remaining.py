"""How far a piece of work is and how long the rest will take, as a line for people."""

import time
from collections.abc import Callable


class Remaining:
    """Of `total` equal steps; the clock, in seconds, runs from here."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._begun = clock()

    def text(self, done: int) -> str:
        """`120 of 500, 3 s left`."""
        text = f"{done} of {self._total}"
        if not done:
            return text
        left = (self._clock() - self._begun) / done * (self._total - done)
        return f"{text}, {left:.0f} s left"
