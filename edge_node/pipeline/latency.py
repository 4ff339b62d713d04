"""How long one sample takes on this device: measured after warming, summed up in percentiles."""

import time
from collections.abc import Callable, Sequence

from edge_node.pipeline.runner import Runner

RUNS, LEAST_RUNS = 30, 5


def measure_latency(
    runner: Runner, *, runs: int = RUNS, budget_s: float = 2.0, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds of single runs of the runner's example, preprocessing included; the runner is reset afterwards.

    Args:
        runner: a warm one.
        runs: at most this many.
        budget_s: no further run begins after this, once there are five.
        clock: seconds.

    Raises:
        EngineFailed: a run failed.
    """
    example = runner.example()
    taken: list[float] = []
    begun = clock()
    while len(taken) < runs and (len(taken) < LEAST_RUNS or clock() - begun < budget_s):
        started = clock()
        runner.run(example)
        taken.append((clock() - started) * 1e3)
    runner.reset()
    return taken


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed (nearest rank); 0 of none."""
    if not values:
        return 0.0
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]
