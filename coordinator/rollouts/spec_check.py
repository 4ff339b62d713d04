"""Whether the parts of a specification fit together. Pure."""

import math
from itertools import pairwise

from coordinator.errors import BadInput
from coordinator.rollouts.durations import duration
from coordinator.rollouts.judging import needs_shadow
from coordinator.rollouts.shares import fraction_of
from coordinator.rollouts.spec import RolloutSpec

MOST_CPU = 64
_MANY = 10**9


def checked_spec(spec: RolloutSpec, where: str) -> RolloutSpec:
    """The specification itself.

    Raises:
        BadInput: its parts do not fit together.
    """
    complaint = next((text for fails, text in _complaints(spec) if fails), "")
    if complaint:
        raise BadInput(f"{where}: {complaint}")
    return spec


def _complaints(spec: RolloutSpec) -> tuple[tuple[bool, str], ...]:
    shares = [share for share in (spec.canary, *spec.waves) if share]
    falling = next((pair for pair in pairwise(shares) if _falls(*pair)), ("", ""))
    deadline, healthy = duration(spec.healthy_deadline_s), duration(spec.min_healthy_s)
    return (
        (any(fraction_of(share, 1) == 0 for share in shares), "a wave of no nodes: write at least 1"),
        (falling != ("", ""), f"waves are cumulative: {falling[1]} after {falling[0]} reaches no more nodes"),
        (
            spec.healthy_deadline_s <= spec.min_healthy_s,
            f"healthy_deadline {deadline} must be above min_healthy {healthy}",
        ),
        (spec.progress_deadline_s <= 0, "progress_deadline must be above 0"),
        (spec.min_samples < 1, "min_samples must be at least 1"),
        (not 0 < spec.shadow_cpu <= MOST_CPU, f"shadow_cpu must be above 0 and at most {MOST_CPU} cores"),
        (bool(needs_shadow(spec)) and not spec.shadow_s, f"gate {needs_shadow(spec)} needs a shadow: shadow: 10m"),
        (spec.per_site < 0 or spec.max_restarts < 0, "per_site and max_restarts must not be below 0"),
        (not 0 <= (spec.max_error_rate or 0) <= 1, "max_error_rate must be within 0 and 1"),
        (
            not all(map(_is_limit, (spec.max_p95_ms, spec.max_memory_mb))),
            "max_p95_ms and max_memory_mb must be above 0",
        ),
    )


def _is_limit(most: float | None) -> bool:
    return most is None or 0 < most < math.inf


def _falls(first: str, second: str) -> bool:
    """Whether the second share of two that can be compared reaches less than the first."""
    same = first.endswith("%") == second.endswith("%")
    return same and fraction_of(second, _MANY) < fraction_of(first, _MANY)
