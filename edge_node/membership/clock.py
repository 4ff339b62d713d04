"""Decides what time it is, on a device whose own clock may be in 1970 or in 2046.

    clock = Clock(floor, monotonic, system)        # all in seconds; system and floor since 1970
    clock.reached(seconds)      # a signed message was made then: it is later now
    clock.told(seconds)         # the coordinator answered our nonce just now: that is the time
    clock.now()

Three things are known: what the system says, which may be anything; the floor, the latest time that a signed message
has named, which is certainly over; and, once the coordinator has answered in this run, the time itself. That wins in
both directions. Time goes on with a clock that only runs, and counts while the device sleeps. Keeping the floor is
`clock_file.py`; whoever raises it has verified the signature.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from edge_node.link.validity import KnownTime

WRONG_S = 30.0
"""A system clock that is off by more is called wrong."""

FRESH_S = 86400.0
"""So long the time that the coordinator has said needs no other answer."""

Source = Literal["coordinator", "floor", "system"]


def seconds_of(moment: str) -> float:
    """The seconds since 1970 of an RFC 3339 time; 0, which moves no clock, where the text is none."""
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return 0.0
    return at.timestamp() if at.tzinfo is not None else 0.0


class Clock:
    """What is known of the time; the only state is what it was told."""

    def __init__(self, floor: float, monotonic: Callable[[], float], system: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._system = system
        self._floor, self._floor_at = floor, monotonic()
        self._told: float | None = None
        self._told_at = 0.0

    @property
    def floor(self) -> float:
        """A time that is certainly over; 0 where nothing is known."""
        return 0.0 if self._floor == 0 else self._floor + (self._monotonic() - self._floor_at)

    @property
    def is_told(self) -> bool:
        """Whether the coordinator has said the time within a day: clocks drift."""
        return self._told is not None and self._monotonic() - self._told_at < FRESH_S

    @property
    def source(self) -> Source:
        """What `now` goes by."""
        if self._told is not None:
            return "coordinator"
        return "floor" if self.floor > self._system() else "system"

    def now(self) -> float:
        """The time in seconds since 1970, as well as it is known. It may jump when the coordinator says the time."""
        if self._told is not None:
            return self._told + (self._monotonic() - self._told_at)
        return max(self._system(), self.floor)

    def for_expiry(self) -> float:
        """The time by which documents expire: never before the floor, whatever the coordinator says now.

        A coordinator whose clock was once years ahead has raised the floor for good. Its nodes still meet it, by
        `now`; what expires is then refused rather than taken.
        """
        return max(self.now(), self.floor)

    def known(self) -> KnownTime:
        """What is certain of the time: for certificates of others. The system's clock proves nothing."""
        if self._told is None:
            return KnownTime(earliest=self.floor)
        return KnownTime(earliest=self.now(), latest=self.now())

    def system(self) -> float:
        """What the system's clock says, which may be anything."""
        return self._system()

    def system_off_s(self) -> float:
        """How many seconds the system's clock is ahead of what is known; negative: behind. 0 where nobody knows."""
        return 0.0 if self.source == "system" else self._system() - self.now()

    def system_is_wrong(self) -> bool:
        """Whether the system's clock is known to be wrong."""
        return abs(self.system_off_s()) > WRONG_S

    def reached(self, seconds: float) -> None:
        """A message whose signature holds was made at that time."""
        if seconds > self.floor:
            self._floor, self._floor_at = seconds, self._monotonic()

    def told(self, seconds: float) -> None:
        """The coordinator said the time just now, in answer to this node's nonce."""
        self._told, self._told_at = seconds, self._monotonic()
        self.reached(seconds)
