"""What a node's bytes add up to over the starts of its agent. Pure.

A node counts since its agent started; the newest counts of a run replace those before, and a new run (another
`started`, or a counter that fell) begins behind the total of the runs before. A lost message costs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from protos.egress import Leaving
from protos.identity import NodeId
from protos.metrics import Metrics

MOST = 2**60
"""No counter of a node is believed beyond: it has to fit the database, many times."""


@dataclass(frozen=True)
class Counts:
    """Bytes from sources, and bytes that left by kind."""

    taken_in: int = 0
    out: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Bytes that left, of all kinds."""
        return sum(self.out.values())


@dataclass(frozen=True)
class Traffic:
    """The bytes of a node: of its finished runs, and of the run that began at `started`. `at` is of the newest word."""

    node: NodeId
    before: Counts
    run: Counts
    started: str
    at: datetime

    @property
    def total(self) -> Counts:
        """Since the node is known."""
        return _sum(self.before, self.run)


def accumulated(known: Traffic | None, node: NodeId, metrics: Metrics, at: datetime) -> Traffic:
    """The traffic after a node's newest metrics."""
    run = counts_of(metrics)
    if known is None:
        return Traffic(node, Counts(), run, metrics.started, at)
    begins = metrics.started != known.started or run.taken_in < known.run.taken_in or run.left < known.run.left
    return Traffic(node, known.total if begins else known.before, run, metrics.started, at)


def counts_of(metrics: Metrics) -> Counts:
    """The bytes that metrics tell of; kinds that there are not do not count."""
    out = {str(kind): _believed(metrics.edge_egress_bytes_total.get(str(kind), 0)) for kind in Leaving}
    return Counts(_believed(metrics.edge_source_bytes_total), {kind: size for kind, size in out.items() if size})


def saved(counts: Counts) -> float | None:
    """The share of what came in that did not leave, 0 to 1; None where nothing came in."""
    return None if counts.taken_in <= 0 else max(0.0, 1 - counts.left / counts.taken_in)


def _believed(count: int) -> int:
    return min(max(0, count), MOST)


def _sum(one: Counts, other: Counts) -> Counts:
    kinds = sorted({*one.out, *other.out})
    out = {kind: min(MOST, one.out.get(kind, 0) + other.out.get(kind, 0)) for kind in kinds}
    return Counts(min(MOST, one.taken_in + other.taken_in), out)
