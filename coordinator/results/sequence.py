"""Go-back-N, the receiver's half: what of a stream is taken, so that every number is stored once and in order.

- The next number is `through + 1`. What continues there is taken, and the next number moves on.
- What lies at or below `through` was stored before: a duplicate, ignored. A result with the same number and OTHER
  content is a conflict: two disks write one stream.
- What begins above the next number leaves a gap: it and everything behind it is not taken. The sender goes back.
- A hole may begin below the next number (it was widened after a part was stored): the rest of it is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from coordinator.results.records import Arrival, Kind

_LATE, _IN_TIME = b'"late":true', b'"late":false'


@dataclass
class Taken:
    """What became of the arrivals of one stream; `through` is the new one."""

    through: int
    results: list[Arrival] = field(default_factory=list)
    holes: list[Arrival] = field(default_factory=list)
    duplicates: list[Arrival] = field(default_factory=list)
    beyond_gap: int = 0


def take(through: int, arrivals: Sequence[Arrival]) -> Taken:
    """What of the arrivals, in the order in which they came, continues a stream that is committed through a number."""
    taken = Taken(through)
    for arrival in arrivals:
        if arrival.seq <= taken.through:
            taken.duplicates.append(arrival)
        elif arrival.first > taken.through + 1:
            taken.beyond_gap += 1
        else:
            _add(taken, arrival)
    return taken


def _add(taken: Taken, arrival: Arrival) -> None:
    if arrival.kind is Kind.RESULT:
        taken.results.append(arrival)
    elif arrival.first == taken.through + 1:
        taken.holes.append(arrival)
    else:
        taken.holes.append(msgspec.structs.replace(arrival, first=taken.through + 1))
    taken.through = arrival.seq


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two events are the same but for `late`, which the way sets and not the result."""
    return one == other or one.replace(_LATE, _IN_TIME, 1) == other.replace(_LATE, _IN_TIME, 1)
