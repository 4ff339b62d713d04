"""How much the tests do whose sizes scale, and by which random numbers: read here, and nowhere else.

    pytestmark = pytest.mark.soak            `make soak` runs this test
    for life in range(times(3)):             three by default, 3 N with `make soak N=…`
    chance = random_of("kills")              the same random numbers in every run of a seed

`make test` does N = 1 with seed 0, always the same. `make soak N=100` does the tests marked `soak` alone, with a seed
of its own; `make soak N=100 SEED=…` does that run again. NEARFIELD_SOAK=N:SEED is how they are told. At the end both
are printed, with what was tried: no failure in so many trials says that fewer than 3 in as many fail (95 %).
"""

import os
from collections import Counter
from random import Random

_n, _, _seed = os.environ.get("NEARFIELD_SOAK", "1:0").partition(":")
N, SEED = int(_n), int(_seed or 0)
tried: Counter[str] = Counter()
"""Trials so far, by what was tried."""


def times(size: int) -> int:
    """A test's size in this run."""
    return size * N


def random_of(purpose: str) -> Random:
    """Random numbers for one purpose, of this run's seed."""
    return Random(f"{SEED} {purpose}")


def report() -> list[str]:
    """What was tried, for the end of a run."""
    return [f"N={N} seed={SEED}", *(f"{count:>9,} {what}" for what, count in sorted(tried.items()))]
