"""What gates can ask for: one table of metrics, each with its statistic and how it is read of a sample. Pure.

A new metric is a new row. What is measured of a slice is a `Sample`; which nodes are in it is decided in `judging.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from coordinator.rollouts.records import Measure
from coordinator.rollouts.stability import noise, psi
from coordinator.rollouts.sums import Counts
from protos.evidence import Evidence, quantile


@dataclass(frozen=True)
class Sample:
    """What was measured of some nodes: sums of their evidence, and what nodes count beside it."""

    evidence: Counts = field(default_factory=Evidence)
    """of the candidate"""
    reference: Counts = field(default_factory=Evidence)
    """of the version before"""
    nodes: int = 0
    """of the wave, that are there"""
    heard: int = 0
    """that have the version and have told what they measured"""
    silent: int = 0
    """that have the version and have told nothing yet"""
    returned: int = 0
    """of those: went back by themselves, or failed"""
    fell: int = 0
    """of those: run on something else than the accelerator that was chosen"""
    restarts: int = 0
    memory_mb: float | None = None
    """the most of any node; None where none has said"""
    labelled: int = 0
    """answers that labels have arrived for"""
    right: int = 0
    """of those: said what their labels do"""
    measures: Mapping[str, Measure] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """A metric's value, on how many samples, and how much of it chance alone explains."""

    value: float | None
    samples: int
    noise: float = 0.0


@dataclass(frozen=True)
class Metric:
    """A row of the table."""

    statistic: str
    """what is computed, for people"""
    read: Callable[[Sample, str], Reading]
    """of a sample and the metric's name"""
    less_is_better: bool = True
    counts_answers: bool = True
    """its samples are answers, and `min_samples` holds; else they are nodes, and one is enough"""
    when: frozenset[Literal["shadow", "service"]] = frozenset({"service"})
    """what it can be asked of: the candidate in the shadow, or in service"""


def _latency(q: float) -> Callable[[Sample, str], Reading]:
    def read(sample: Sample, _: str) -> Reading:
        return Reading(quantile(sample.evidence.latency, q), sum(sample.evidence.latency.values()))

    return read


def _p95_ratio(sample: Sample, _: str) -> Reading:
    new, old = (quantile(one.latency, 0.95) for one in (sample.evidence, sample.reference))
    samples = min(sum(sample.evidence.latency.values()), sum(sample.reference.latency.values()))
    return Reading(None if new is None or not old else new / old, samples)


def _error_rate(sample: Sample, _: str) -> Reading:
    return _share(sample.evidence.errors, sample.evidence.samples + sample.evidence.errors)


def _agreement(sample: Sample, _: str) -> Reading:
    return _share(sample.evidence.agreed, sample.evidence.compared)


def _distance(sample: Sample, _: str) -> Reading:
    return _share(sample.evidence.distance, sample.evidence.compared)


def _confidence_shift(sample: Sample, _: str) -> Reading:
    bins = [dict(enumerate(one.confidence)) for one in (sample.evidence, sample.reference)]
    return _shift(*bins)


def _prediction_shift(sample: Sample, _: str) -> Reading:
    return _shift(sample.evidence.classes, sample.reference.classes)


def _shift(
    candidate: Mapping[int, int] | Mapping[str, int], reference: Mapping[int, int] | Mapping[str, int]
) -> Reading:
    new, old = {str(key): n for key, n in candidate.items()}, {str(key): n for key, n in reference.items()}
    samples = min(sum(new.values()), sum(old.values()))
    return Reading(psi(new, old) if samples else None, samples, noise(new, old))


def _restarts(sample: Sample, _: str) -> Reading:
    return Reading(float(sample.restarts) if sample.nodes else None, sample.nodes)


def _memory(sample: Sample, _: str) -> Reading:
    return Reading(sample.memory_mb, sample.nodes)


def _returned(sample: Sample, _: str) -> Reading:
    return _share(sample.returned, sample.nodes)


def _fallback(sample: Sample, _: str) -> Reading:
    return _share(sample.fell, sample.nodes)


def _accuracy(sample: Sample, name: str) -> Reading:
    """Of labels; where none arrive here, what somebody measured elsewhere."""
    return _share(sample.right, sample.labelled) if sample.labelled else _measured(sample, name)


def _measured(sample: Sample, name: str) -> Reading:
    found = sample.measures.get(name)
    return Reading(None, 0) if found is None else Reading(found.value, found.samples)


def _share(part: float, whole: int) -> Reading:
    return Reading(part / whole if whole else None, whole)


_BOTH: frozenset[Literal["shadow", "service"]] = frozenset({"shadow", "service"})
_SHADOW: frozenset[Literal["shadow", "service"]] = frozenset({"shadow"})

METRICS: dict[str, Metric] = {
    "p50_ms": Metric("median latency in ms (DDSketch, ±2 %)", _latency(0.50)),
    "p95_ms": Metric("95th percentile of latency in ms (DDSketch, ±2 %)", _latency(0.95)),
    "p99_ms": Metric("99th percentile of latency in ms (DDSketch, ±2 %)", _latency(0.99)),
    "p95_ratio": Metric("95th percentile of latency over the version before's", _p95_ratio),
    "error_rate": Metric("errors / (answers + errors)", _error_rate, when=_BOTH),
    "agreement": Metric("answers that agree / compared", _agreement, less_is_better=False, when=_SHADOW),
    "distance": Metric("mean distance of compared answers", _distance, when=_SHADOW),
    "confidence_shift": Metric("PSI of the best scores, 20 bins", _confidence_shift, when=_BOTH),
    "prediction_shift": Metric("PSI of the best labels", _prediction_shift, when=_BOTH),
    "memory_mb": Metric("most memory of any worker in MB", _memory, counts_answers=False),
    "restarts": Metric("deaths of workers, all nodes", _restarts, counts_answers=False),
    "returned": Metric("nodes that went back or failed / nodes", _returned, counts_answers=False),
    "fallback": Metric("nodes off their chosen accelerator / nodes", _fallback, counts_answers=False),
    "accuracy": Metric("right answers / labelled answers", _accuracy, less_is_better=False),
}
EXTERNAL = Metric("as measured elsewhere", _measured)
"""Of any other name: what `edgectl rollout measure` gave. Which way is better its gate says."""
