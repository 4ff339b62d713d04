"""What a node has measured of a version, in service or beside it in a shadow: counts and histograms, never an answer.

Everything is cumulative since the version began to serve here (or the shadow began), so that a lost or repeated report
changes nothing, and everything adds up: the evidence of a wave is the sum of its nodes'.

Latencies are a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch", VLDB 2019): bucket i
counts what lies in (GAMMA^(i-1), GAMMA^i] milliseconds, so a quantile is right to 2 %.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

import msgspec

from protos.digest import Digest

ACCURACY = 0.02
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
LEAST_MS = 0.001
MOST_MS = 3_600_000.0
CONFIDENCE_BINS = 20
"""of equal width over 0..1"""
MOST_CLASSES = 64
"""The classes that come first are counted by name; what comes later is counted under the empty name."""

K = TypeVar("K", int, str)


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one slice on one node: a pipeline (empty: clients of the node) in a shift (empty: all day)."""

    pipeline: str = ""
    shift: str = ""
    samples: int = 0
    """answers"""
    errors: int = 0
    """frames or asks that got none"""
    latency: dict[int, int] = {}
    """bucket → answers; preprocess, infer and postprocess together, in milliseconds"""
    confidence: tuple[int, ...] = ()
    """answers by the best score's bin"""
    classes: dict[str, int] = {}
    """answers by the best label"""
    compared: int = 0
    """shadow only: answers of the candidate that were compared with the current version's to the same frame"""
    agreed: int = 0
    """of those: same class; or all boxes matched; or tensors within tolerance"""
    distance: float = 0.0
    """of those: the sum of distances (1 - matched IoU for boxes, mean absolute difference for tensors)"""


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version serves on trial (`DesiredDeployment.trial`): what the node watches, and how long.

    Until the trial ends with a document that has none, the version before stays the last good one. `attempt` rises to
    have a node try again what it has sent back.
    """

    rollout: str
    attempt: int = 0
    healthy_s: float = 10.0
    """how long it must serve without a fault to have passed its probation"""
    report_s: float = 30.0
    """how often the node reports its evidence while the trial lasts"""
    max_error_rate: float | None = None
    """of frames; beyond it the node goes back by itself"""
    max_p95_ms: float | None = None
    max_memory_mb: float | None = None
    """of the worker"""
    max_restarts: int = 1
    """deaths of the worker of which the version is to blame; one more and the node goes back by itself"""
    shifts: dict[str, str] = {}
    """name → "HH:MM-HH:MM" in the node's own time zone; a slice of the evidence each"""


class Shadow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A candidate runs beside the current version on the same frames (`DesiredDeployment.shadow`)."""

    rollout: str
    model: str
    version: int
    digest: Digest
    variant: str | None = None
    attempt: int = 0
    share: float = 1.0
    """of the frames, 0..1"""
    cpu: float = 0.5
    """of one core at most, on average; frames beyond it are left out and counted"""
    memory_mb: int | None = None
    """what the worker may grow by; beyond it the shadow ends as failed"""
    report_s: float = 30.0
    shifts: dict[str, str] = {}


class ReportedTrial(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a version on trial does."""

    rollout: str
    attempt: int
    state: Literal["on", "passed", "returned"]
    """`returned`: the node has gone back to its last good version by itself"""
    since: str = ""
    """when it began to serve, RFC 3339 UTC"""
    reason: str = ""
    """why the node went back"""
    restarts: int = 0
    memory_mb: float = 0.0
    fell: str = ""
    """what it runs on instead of the accelerator that was chosen, and why; or empty"""
    evidence: tuple[Evidence, ...] = ()
    reference: tuple[Evidence, ...] = ()
    """of the version before it on this node, up to the switch"""


class ReportedShadow(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a candidate does beside the current version."""

    rollout: str
    attempt: int
    state: Literal["pending", "on", "failed"]
    since: str = ""
    reason: str = ""
    memory_mb: float = 0.0
    """what the worker has grown by"""
    left_out: int = 0
    """frames that the budget did not allow"""
    evidence: tuple[Evidence, ...] = ()
    """of the candidate"""
    reference: tuple[Evidence, ...] = ()
    """of the current version, on the same frames"""


def bucket_of(milliseconds: float) -> int:
    """The sketch's bucket of a latency."""
    return math.ceil(math.log(min(max(milliseconds, LEAST_MS), MOST_MS), GAMMA))


def quantile(latency: Mapping[int, int], q: float) -> float | None:
    """The q-quantile in milliseconds, right to `ACCURACY`; None of nothing."""
    total = sum(latency.values())
    if not total:
        return None
    rank, seen = q * (total - 1), 0
    for bucket in sorted(latency):
        seen += latency[bucket]
        if seen > rank:
            return float(2 * GAMMA**bucket / (GAMMA + 1))
    raise AssertionError("the ranks of a histogram end with its total")


def confidence_bin(score: float) -> int:
    """The bin of a best score; scores beyond 0..1 count in the outermost."""
    return min(max(int(score * CONFIDENCE_BINS), 0), CONFIDENCE_BINS - 1)


def merged(parts: Iterable[Evidence], pipeline: str = "", shift: str = "") -> Evidence:
    """The sum of evidence, as that of one slice."""
    found = tuple(parts)
    return Evidence(
        pipeline,
        shift,
        samples=sum(one.samples for one in found),
        errors=sum(one.errors for one in found),
        latency=summed(one.latency for one in found),
        confidence=_columns([one.confidence for one in found if one.confidence]),
        classes=summed(one.classes for one in found),
        compared=sum(one.compared for one in found),
        agreed=sum(one.agreed for one in found),
        distance=math.fsum(one.distance for one in found),
    )


def _columns(rows: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True)) if rows else ()


def summed(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """Histograms in one."""
    total: dict[K, int] = {}
    for one in counts:
        for key, count in one.items():
            total[key] = total.get(key, 0) + count
    return total
