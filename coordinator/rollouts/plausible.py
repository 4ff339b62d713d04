"""What of a node's report is taken into a rollout: nodes may be somebody's, and one must not stop all decisions. Pure.

A report of a trial or a shadow whose numbers cannot be is as none: the member does not become healthy by it. That a
node claims numbers that could be and are not true nobody sees: gates are as good as the nodes that report.
"""

import math
from collections.abc import Iterable, Mapping

from protos.evidence import (
    CONFIDENCE_BINS,
    LEAST_MS,
    MOST_CLASSES,
    MOST_MS,
    Evidence,
    ReportedShadow,
    ReportedTrial,
    bucket_of,
)

MOST = 2**53
"""Of any count: what every machine's numbers hold exactly."""
MOST_PARTS = 1024
"""Slices of a node: pipelines and shifts."""
MOST_WORDS = 300
"""Characters of a reason."""
BUCKETS = range(bucket_of(LEAST_MS), bucket_of(MOST_MS) + 1)


def plausible_trial(trial: ReportedTrial | None) -> ReportedTrial | None:
    """The report of a trial, None where it cannot be."""
    if trial is None or not _counts((trial.restarts,)) or not _amount(trial.memory_mb):
        return None
    return trial if _all_plausible(trial.evidence, trial.reference) else None


def plausible_shadow(shadow: ReportedShadow | None) -> ReportedShadow | None:
    """The report of a shadow, None where it cannot be."""
    if shadow is None or not _counts((shadow.left_out,)) or not _amount(shadow.memory_mb):
        return None
    return shadow if _all_plausible(shadow.evidence, shadow.reference) else None


def one_line(text: str) -> str:
    """What a node gives as a reason, as it is kept and shown: one line, nothing that a terminal obeys."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * MOST_WORDS])
    line = " ".join(printable.split())
    return line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}…"


def _all_plausible(evidence: tuple[Evidence, ...], reference: tuple[Evidence, ...]) -> bool:
    return max(len(evidence), len(reference)) <= MOST_PARTS and all(map(_is_plausible, (*evidence, *reference)))


def _is_plausible(one: Evidence) -> bool:
    return (
        _counts((one.samples, one.errors, one.compared, one.agreed))
        and one.agreed <= one.compared
        and _amount(one.distance)
        and len(one.confidence) in (0, CONFIDENCE_BINS)
        and len(one.classes) <= MOST_CLASSES + 1
        and _counts((*one.confidence, *one.classes.values()))
        and _is_sketch(one.latency)
    )


def _is_sketch(latency: Mapping[int, int]) -> bool:
    return all(bucket in BUCKETS for bucket in latency) and _counts(latency.values())


def _counts(numbers: Iterable[int]) -> bool:
    return all(0 <= number < MOST for number in numbers)


def _amount(number: float) -> bool:
    return math.isfinite(number) and 0 <= number < MOST
