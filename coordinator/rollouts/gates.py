"""What a gate is and what it says: `p95_ms<=50` asked of evidence. Pure.

The metrics that gates know are in `metrics.py`; whose evidence a gate is asked of, in `judging.py`.
"""

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt

from coordinator.errors import BadInput
from coordinator.rollouts.metrics import EXTERNAL, METRICS, Metric, Reading, Sample

_GATE = re.compile(r"(?P<metric>[a-z][a-z0-9_]*) ?(?P<sign><=|>=|<|>) ?(?P<bound>-?\d+(?:\.\d+)?(?:e-?\d+)?)", re.ASCII)
_SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": le, ">=": ge, "<": lt, ">": gt}
NOISE_SHARE = 0.5
"""A statistic whose noise is above this part of the bound decides nothing."""


class Outcome(StrEnum):
    """What a gate says."""

    PASSED = "passed"
    FAILED = "failed"
    WAITING = "waiting"
    """too few samples to say"""


@dataclass(frozen=True)
class Gate:
    """A condition on a metric."""

    metric: str
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.bound:.12g}"


@dataclass(frozen=True)
class Verdict:
    """What a gate says of a slice, and the numbers that it says it by."""

    gate: str
    slice: str
    """`pipeline=shelf`, `site=store-12` …; empty: all together"""
    outcome: Outcome
    statistic: str
    value: float | None
    """None: there is nothing to compute it from yet"""
    bound: float
    samples: int
    needed: int
    """samples that it decides on"""

    def __str__(self) -> str:
        of = f" ({self.slice})" if self.slice else ""
        value = "nothing yet" if self.value is None else f"{self.value:.4g}"
        return f"{self.gate}{of} {self.outcome}: {self.statistic} is {value} ({self.samples} samples)"


def parse_gate(text: str, where: str) -> Gate:
    """The gate that the text states: metric, `<=` `>=` `<` or `>`, number. Any name that is no metric is external.

    Raises:
        BadInput: not of that form, or the wrong way round for its metric.
    """
    found = _GATE.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{where}: {text!r} is not a gate: write for example p95_ms<=50 or agreement>=0.98")
    gate = Gate(found["metric"], found["sign"], float(found["bound"]))
    known = METRICS.get(gate.metric)
    if known is None and (meant := difflib.get_close_matches(gate.metric, METRICS, n=1, cutoff=0.8)):
        raise BadInput(f"{where}: metric {gate.metric!r} is too near to a known one: did you mean {meant[0]!r}?")
    if known is not None and (gate.sign[0] == "<") != known.less_is_better:
        way = "<=" if known.less_is_better else ">="
        raise BadInput(f"{where}: {text!r} is the wrong way round: write {gate.metric}{way}{gate.bound:g}")
    return gate


def metric_of(gate: Gate) -> Metric:
    """How the gate's metric is measured."""
    return METRICS.get(gate.metric, EXTERNAL)


def judge(gate: Gate, sample: Sample, min_samples: int, named: str = "") -> Verdict:
    """What the gate says of a sample.

    Args:
        gate: the gate.
        sample: what was measured.
        min_samples: fewer decide nothing, where the metric counts answers.
        named: the slice, as the verdict names it.
    """
    metric = metric_of(gate)
    reading = metric.read(sample, gate.metric)
    needed = min_samples if metric.counts_answers else 1
    outcome = _outcome(gate, reading, needed)
    if outcome is Outcome.FAILED and metric.counts_answers and sample.silent > sample.heard:
        outcome = Outcome.WAITING  # the first node that answers does not speak for all
    return Verdict(str(gate), named, outcome, metric.statistic, reading.value, gate.bound, reading.samples, needed)


def _outcome(gate: Gate, reading: Reading, needed: int) -> Outcome:
    if reading.value is None or reading.samples < needed or math.isnan(reading.value):
        return Outcome.WAITING
    if reading.noise > NOISE_SHARE * abs(gate.bound):
        return Outcome.WAITING
    return Outcome.PASSED if _SIGNS[gate.sign](reading.value, gate.bound) else Outcome.FAILED
