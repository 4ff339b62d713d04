"""Decides what the outbox gives up when its bounds are reached, and how the holes that this leaves are written down.

New results are always stored first; then, while the bounds are exceeded, results go in the policy's order. So the
policies differ in one line, the order: `drop_oldest` lets the smallest numbers go, `drop_newest` the largest (what
has just come), `drop_lowest_priority` the lowest priority and within it the oldest. What is older than the age limit
goes under every policy, oldest first.

A hole covers consecutive numbers, so its count is exact by construction; holes that touch and have the same reason
become one. Neither clock nor disk is here: ages and sizes come in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

ORDER = {
    "drop_oldest": "seq ASC",
    "drop_newest": "seq DESC",
    "drop_lowest_priority": "priority ASC, seq ASC",
}
"""Which results go first, as the `ORDER BY` of a query over (seq, priority)."""

OVERHEAD_BYTES = 64
"""What a result costs on disk beside its own bytes."""


class Reason(StrEnum):
    """Why results never reached the collector."""

    OUTBOX_FULL = "outbox_full"
    TOO_OLD = "too_old"
    DISK_FULL = "disk_full"
    OVERLOADED = "overloaded"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    EGRESS = "egress"
    """what may leave does not include it"""
    FREED = "freed"
    """acknowledged before, by a collector that has since lost them"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting result that may be given up, and its bytes on disk."""

    seq: int
    size: int


@dataclass(frozen=True, slots=True)
class Hole:
    """The numbers `first` to `last` of a stream are gone, all for one reason."""

    first: int
    last: int
    reason: Reason

    @property
    def count(self) -> int:
        """How many results are gone."""
        return self.last - self.first + 1


def given_up(candidates: Iterable[Candidate], excess_bytes: int) -> list[Candidate]:
    """The first candidates, in the policy's order, that together free the excess; no more of them than needed."""
    gone: list[Candidate] = []
    freed = 0
    for candidate in candidates:
        if freed >= excess_bytes:
            break
        gone.append(candidate)
        freed += candidate.size
    return gone


def holes(numbers: Iterable[int], reason: Reason) -> list[Hole]:
    """The fewest holes that cover exactly these distinct numbers, in order."""
    found: list[Hole] = []
    for seq in sorted(numbers):
        if found and found[-1].last + 1 == seq:
            found[-1] = Hole(found[-1].first, seq, reason)
        else:
            found.append(Hole(seq, seq, reason))
    return found


def merged(unordered: Iterable[Hole]) -> list[Hole]:
    """The same numbers and reasons in the fewest holes, in order."""
    joined: list[Hole] = []
    for hole in sorted(unordered, key=lambda hole: hole.first):
        if joined and joined[-1].last + 1 == hole.first and joined[-1].reason == hole.reason:
            joined[-1] = Hole(joined[-1].first, hole.last, hole.reason)
        else:
            joined.append(hole)
    return joined


def uncovered(after: int, spans: Sequence[tuple[int, int]]) -> list[Hole]:
    """The numbers above `after` that the spans (first, last), in order, leave out before their end.

    A stream has no numbers that nothing stands for, except those that were acknowledged and freed: when a collector
    asks for them again, it has lost them.
    """
    found: list[Hole] = []
    for first, last in spans:
        if first > after + 1:
            found.append(Hole(after + 1, first - 1, Reason.FREED))
        after = max(after, last)
    return found
