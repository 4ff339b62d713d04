"""How a model serves fastest here: what is tried, what is tried on, and what is chosen. Pure; nothing is measured here.

A *way* is a variant with threads, instances and samples at once. All are measured in rounds, one after the other, so
that what else the device does meanwhile slows all of them alike: only ratios within a round are compared, and the
median of a way's ratios counts. The way that a model would be served without tuning is always among them, and wins
unless another is better by more than the noise of such measurements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

NOISE = 0.10
"""What two measurements of the same way may differ by."""
HOPELESS = 0.6
"""Of the best, after a round: what is slower is not measured again."""
BATCHES = (1, 2, 4, 8, 16)


class Way(msgspec.Struct, frozen=True):
    """How a model can be served. `variant` is a file of it; `batch` is the most samples put together, 1: never."""

    variant: str
    engine: str
    threads: int
    instances: int
    batch: int

    @property
    def text(self) -> str:
        """For people."""
        sizes = f"{_counted(self.instances, 'instance')} of {_counted(self.threads, 'thread')}"
        return f"{sizes}{f', up to {self.batch} samples at once' if self.batch > 1 else ''}"


class Measured(msgspec.Struct, frozen=True, tag=True):
    """A round of a way with all its instances busy: samples per second, and milliseconds of a run."""

    per_second: float
    p95_ms: float


class Arm(msgspec.Struct, frozen=True):
    """A way and its rounds, oldest first; `error` says why it cannot run, one line."""

    way: Way
    rounds: tuple[Measured, ...] = ()
    error: str = ""

    @property
    def per_second(self) -> float:
        """The median of the rounds."""
        return median(one.per_second for one in self.rounds)

    @property
    def p95_ms(self) -> float:
        """The median of the rounds."""
        return median(one.p95_ms for one in self.rounds)


@dataclass(frozen=True)
class Tuned:
    """The way that was chosen, how many times as many samples per second it gives as the default, and why it."""

    way: Way
    times: float
    reason: str
    meets: bool
    """whether its p95 is within what was asked"""


def ways_of(variant: str, engine: str, cores: int, most_instances: int, *, batches: bool) -> tuple[Way, ...]:
    """What a variant is tried with: no more threads than cores, samples together where the model takes several."""
    sizes = [
        (threads, instances)
        for threads in _powers(cores)
        for instances in sorted({1, min(most_instances, cores // threads)})
    ]
    return tuple(
        Way(variant, engine, threads, instances, batch)
        for threads, instances in sizes
        for batch in (BATCHES if batches else BATCHES[:1])
    )


def go_on(arms: Sequence[Arm], default: Way, slo_p95_ms: float) -> tuple[Way, ...]:
    """The ways that are worth another round: the default, and what may still be chosen."""
    ran = [arm for arm in arms if arm.rounds]
    most = max((arm.per_second for arm in ran if arm.p95_ms <= slo_p95_ms), default=None)
    least_ms = min((arm.p95_ms for arm in ran), default=0.0)

    def hopeful(arm: Arm) -> bool:
        if most is None:
            return arm.p95_ms * HOPELESS <= least_ms
        return arm.p95_ms <= slo_p95_ms * (1 + NOISE) and arm.per_second >= HOPELESS * most

    return tuple(arm.way for arm in ran if arm.way == default or hopeful(arm))


def decide(arms: Sequence[Arm], default: Way, slo_p95_ms: float) -> Tuned:
    """The way with the most samples per second of those whose p95 is within the bound; the quickest where none is.

    Args:
        arms: with the default's among them, measured. One with fewer rounds was given up, and is not chosen.
        default: the way without tuning.
        slo_p95_ms: the bound.

    Raises:
        ValueError: the default was not measured.
    """
    base = next((arm for arm in arms if arm.way == default and arm.rounds), None)
    if base is None:
        raise ValueError("the default was not measured")
    whole = [arm for arm in arms if len(arm.rounds) == len(base.rounds)]
    meeting = [arm for arm in whole if arm.p95_ms <= slo_p95_ms]
    if not meeting:
        return _quickest(whole, base, slo_p95_ms)
    best = max(meeting, key=lambda arm: times_of(arm, base))
    times = times_of(best, base)
    if base not in meeting:
        return Tuned(best.way, times, f"the default's p95 of {base.p95_ms:.1f} ms is over {slo_p95_ms:g} ms", True)
    if times <= 1 + NOISE:
        return Tuned(default, 1.0, f"the default: nothing else is more than {NOISE:.0%} better", True)
    reason = f"{times:.2f} times the default's samples per second, p95 {best.p95_ms:.1f} ms"
    return Tuned(best.way, times, reason, True)


def times_of(arm: Arm, base: Arm) -> float:
    """Samples per second ÷ those of another, round by round: the median."""
    return median(one.per_second / other.per_second for one, other in zip(arm.rounds, base.rounds, strict=False))


def _quickest(arms: Sequence[Arm], base: Arm, slo_p95_ms: float) -> Tuned:
    best = min(arms, key=lambda arm: arm.p95_ms)
    missed = f"no way has a p95 within {slo_p95_ms:g} ms"
    if best.p95_ms >= (1 - NOISE) * base.p95_ms:
        return Tuned(base.way, 1.0, f"{missed}; the default's {base.p95_ms:.1f} ms is as low as any", False)
    return Tuned(best.way, times_of(best, base), f"{missed}; this one has the lowest, {best.p95_ms:.1f} ms", False)


def _powers(cores: int) -> Iterable[int]:
    """1, 2, 4, … and the number of cores."""
    return sorted({1 << bit for bit in range(cores.bit_length()) if 1 << bit <= cores} | {max(1, cores)})


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
