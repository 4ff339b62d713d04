"""What happens when, on a clock that jumps from one thing to the next."""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Agenda(Generic[T]):
    """Things with their times; those of one moment in the order in which they were entered.

    Args:
        now: where the clock begins.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._things: list[tuple[datetime, int, T]] = []
        self._count = 0

    def enter(self, seconds: float, thing: T) -> None:
        """So many seconds from now."""
        self._count += 1
        heapq.heappush(self._things, (self.now + timedelta(seconds=seconds), self._count, thing))

    @property
    def next_at(self) -> datetime | None:
        """When the next thing happens; None: nothing will."""
        return self._things[0][0] if self._things else None

    def until(self, at: datetime) -> Iterator[T]:
        """Move the clock there, by way of all that happens until then; also what is entered meanwhile."""
        while self._things and self._things[0][0] <= at:
            moment, _, thing = heapq.heappop(self._things)
            self.now = max(self.now, moment)
            yield thing
        self.now = max(self.now, at)
