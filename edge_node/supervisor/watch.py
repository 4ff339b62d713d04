"""What is wrong with a version in service. Pure.

The terms are those of its trial; without one, those of every probation. What becomes of a fault is `probation.py`'s.
"""

from dataclasses import dataclass

from protos.desired import DesiredDeployment
from protos.digest import Digest

PROBATION_S = 10.0
MOST_RESTARTS = 1
MOST_ERRORS = 0.5
"""A version that fails on most of its frames is of no use, whatever the terms leave open."""
SLOWER = 4.0
"""How many times slower than the version before, in the median, where the terms say nothing: a model that takes five
times as long takes a little less, preprocessing included."""
SLOWER_MS = 2.0
"""Below this difference it is the device's noise."""
FEW, ENOUGH = 5, 20
"""Answers that suffice for a median beyond a limit, and for a percentile or a rate."""
LEAST_ERRORS = 3
MOST_STARTS = 3
"""Starts of the agent during one probation; one more and the version is taken to be what ends them."""


@dataclass(frozen=True)
class Terms:
    """What a version must keep. None: nothing is stated."""

    healthy_s: float = PROBATION_S
    max_restarts: int = MOST_RESTARTS
    max_error_rate: float = MOST_ERRORS
    max_p95_ms: float | None = None
    max_memory_mb: float | None = None


@dataclass(frozen=True)
class Vitals:
    """How a version does in service here, counted since it began to serve.

    `before_p50_ms` is the median of the version before it on this node, None where too little is known. `grown_mb` is
    what the worker's memory has grown by without end.
    """

    digest: Digest
    samples: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    before_p50_ms: float | None = None
    restarts: int = 0
    memory_mb: float = 0.0
    grown_mb: float = 0.0
    error: str = ""
    """the newest of the errors, one line"""


def terms_of(target: DesiredDeployment) -> Terms:
    """The terms of a deployment's version."""
    trial = target.trial
    if trial is None:
        return Terms()
    rate = MOST_ERRORS if trial.max_error_rate is None else trial.max_error_rate
    return Terms(trial.healthy_s, trial.max_restarts, rate, trial.max_p95_ms, trial.max_memory_mb)


def fault(terms: Terms, vitals: Vitals) -> str | None:
    """Why a version has to go, in one line; None where it keeps its terms as far as can be seen."""
    return _dies(terms, vitals) or _fails(terms, vitals) or _slow(terms, vitals) or _large(terms, vitals)


def too_often(starts: int) -> str | None:
    """Why a version has to go that was on trial through so many starts of the agent."""
    return None if starts <= MOST_STARTS else f"this node was started {starts} times while it was on trial"


def _dies(terms: Terms, vitals: Vitals) -> str | None:
    if vitals.restarts <= terms.max_restarts:
        return None
    return f"the worker died of it {vitals.restarts} times (at most {terms.max_restarts})"


def _fails(terms: Terms, vitals: Vitals) -> str | None:
    frames = vitals.samples + vitals.errors
    if frames < ENOUGH or vitals.errors < LEAST_ERRORS or vitals.errors <= terms.max_error_rate * frames:
        return None
    said = f"{vitals.errors} of {frames} frames got no answer (at most {terms.max_error_rate:.3%})"
    return f"{said}: {vitals.error}" if vitals.error else said


def _slow(terms: Terms, vitals: Vitals) -> str | None:
    p50, p95, before = vitals.p50_ms, vitals.p95_ms, vitals.before_p50_ms
    if p50 is None or p95 is None or vitals.samples < FEW:
        return None
    limit = terms.max_p95_ms
    if limit is not None:
        beyond = p95 > limit if vitals.samples >= ENOUGH else p50 > limit
        return f"p95 is {p95:.1f} ms (at most {limit:g} ms)" if beyond else None
    if before is None or vitals.samples < ENOUGH or p50 <= SLOWER * before or p50 - before < SLOWER_MS:
        return None
    return f"it takes {p50:.1f} ms where the version before took {before:.1f} ms (at most {SLOWER:g} times)"


def _large(terms: Terms, vitals: Vitals) -> str | None:
    if terms.max_memory_mb is not None and vitals.memory_mb > terms.max_memory_mb:
        return f"the worker holds {vitals.memory_mb:.0f} MB (at most {terms.max_memory_mb:g} MB)"
    if vitals.grown_mb:
        return f"the worker's memory grows without end ({vitals.grown_mb:.0f} MB more, now {vitals.memory_mb:.0f} MB)"
    return None
