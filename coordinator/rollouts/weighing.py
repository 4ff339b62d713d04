"""No node outweighs the others: gates ask sums, and one node must not be most of one. Pure.

A node that counts more than `MOST_TIMES` as many answers as the median node counts as that many: a camera with more
traffic still says more than a quiet one, one that lies says no more than a few of its peers.
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median_low

import msgspec

from protos.evidence import Evidence

MOST_TIMES = 10


def weighed(nodes: Iterable[Sequence[Evidence]]) -> list[Evidence]:
    """The evidence of all nodes, each node's scaled down where it would be too much of the sum."""
    found = [tuple(one) for one in nodes]
    totals = [sum(one.samples + one.errors for one in of_node) for of_node in found]
    spoke = [total for total in totals if total]
    most = MOST_TIMES * median_low(spoke) if spoke else 0
    return [one for of_node, total in zip(found, totals, strict=True) for one in _held(of_node, total, most)]


def _held(evidence: Sequence[Evidence], total: int, most: int) -> Iterator[Evidence]:
    return (_scaled(one, most / total) for one in evidence) if total > most else iter(evidence)


def _scaled(one: Evidence, factor: float) -> Evidence:
    """The same shares of fewer answers."""
    return msgspec.structs.replace(
        one,
        samples=round(one.samples * factor),
        errors=round(one.errors * factor),
        latency={bucket: round(count * factor) for bucket, count in one.latency.items()},
        confidence=tuple(round(count * factor) for count in one.confidence),
        classes={label: round(count * factor) for label, count in one.classes.items()},
        compared=round(one.compared * factor),
        agreed=round(one.agreed * factor),
        distance=one.distance * factor,
    )
