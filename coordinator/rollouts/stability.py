"""How far a distribution has moved from its reference: the population stability index. Pure.

PSI = Σ (p_i - q_i) · ln(p_i / q_i) over the bins, where p and q are the shares of the candidate and of the reference.
Each count is raised by half before (the Jeffreys prior), so that an empty bin gives a finite number. By convention
below 0.1 nothing has moved, and 0.2 or 0.25 is a shift: N. Siddiqi, "Credit Risk Scorecards", Wiley 2006.

Two samples of one distribution differ as well: with B bins their PSI is near (B-1)·(1/N + 1/M) on average
(B. Yurdakul, J. Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation
14(4), 2020). That is `noise`; a gate decides only where it is small beside its bound.
"""

import math
from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K", int, str)

PRIOR = 0.5


def psi(candidate: Mapping[K, int], reference: Mapping[K, int]) -> float:
    """The index of two histograms over the bins that are not empty in both."""
    bins = _bins(candidate, reference)
    new, old = _shares(candidate, bins), _shares(reference, bins)
    return math.fsum((p - q) * math.log(p / q) for p, q in zip(new, old, strict=True))


def noise(candidate: Mapping[K, int], reference: Mapping[K, int]) -> float:
    """What the index would be on average if nothing had moved; infinite where a sample is empty."""
    counts = sum(candidate.values()), sum(reference.values())
    if not all(counts):
        return math.inf
    return (len(_bins(candidate, reference)) - 1) * sum(1 / count for count in counts)


def _bins(candidate: Mapping[K, int], reference: Mapping[K, int]) -> list[K]:
    found = {key for counts in (candidate, reference) for key, count in counts.items() if count}
    return sorted(found)


def _shares(counts: Mapping[K, int], bins: list[K]) -> list[float]:
    total = sum(counts.get(key, 0) for key in bins) + PRIOR * len(bins)
    return [(counts.get(key, 0) + PRIOR) / total for key in bins]
