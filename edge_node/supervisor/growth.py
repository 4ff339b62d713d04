"""Whether memory grows without end. Pure.

A worker takes memory in steps: a model, its first frames, another pipeline. A leak takes it again and again: cut into
parts, the least of each part is above that of the part before.
"""

from collections.abc import Sequence
from itertools import pairwise

LEAST_SAMPLES = 12
PARTS = 6
LEAST_MB = 32.0
"""Less is no harm yet: the series grow longer and will tell."""
LEAST_STEP_MB = 1.0


def grown_mb(samples: Sequence[float]) -> float:
    """By how many megabytes memory has grown without end, 0 where it has not.

    Args:
        samples: megabytes, oldest first, about equally far apart.
    """
    size = len(samples) // PARTS
    if len(samples) < LEAST_SAMPLES:
        return 0.0
    series = tuple(samples)  # a deque is a sequence that has no slices
    least = [min(series[at * size : (at + 1) * size]) for at in range(PARTS)]
    steps = [after - before for before, after in pairwise(least)]
    grown = least[-1] - least[0]
    return grown if min(steps) >= LEAST_STEP_MB and grown >= LEAST_MB else 0.0
