"""A rollout over ten thousand virtual nodes: how long it takes, what it costs, and who starts after a stop.

The controller, its database and what nodes decide are the real ones (`coordinator.sim`); time is virtual.
"""

import subprocess
import sys
from pathlib import Path

import msgspec

from coordinator.sim.outcome import Outcome
from tests.benchmarks.figures import Figure

NODES = 10_000
CAP = 500
FAILURE_RATES = (0.01, 0.05, 0.2, 1.0)


def measure(_data: Path) -> list[Figure]:
    """From creation to completed, and the overshoot of rollouts that fail."""
    whole = simulated()
    found = [
        Figure(
            "rollouts",
            "created to completed",
            whole.wall_s,
            "s",
            "",
            f"{NODES} nodes, {whole.virtual_s:.0f} s of theirs",
        ),
        Figure("rollouts", "nodes ordered a minute", 60 * whole.started / whole.wall_s, "", ">= 10000", "wall time"),
        Figure(
            "rollouts", "rounds of decisions a second", whole.decisions_per_s, "1/s", "", f"{whole.reports} reports"
        ),
        Figure(
            "rollouts", "memory for a node, all together", whole.memory_kb_per_node, "KB", "", "virtual nodes included"
        ),
    ]
    return found + [_overshoot(rate, simulated("--failure-rate", str(rate))) for rate in FAILURE_RATES]


def simulated(*options: str) -> Outcome:
    """What came of a simulation."""
    edgectl = Path(sys.executable).with_name("edgectl")
    command = [str(edgectl), "sim", "--nodes", str(NODES), "--max-parallel", str(CAP)]
    done = subprocess.run([*command, "--json", *options], capture_output=True, check=False, timeout=600)
    return msgspec.json.decode(done.stdout, type=Outcome)


def _overshoot(rate: float, outcome: Outcome) -> Figure:
    """Who was ordered before the stop and starts after it: never more than the cap; and nobody is ordered after it."""
    late = outcome.started_after_stop
    told = f"{outcome.started} started, {outcome.failed} failed; {len(outcome.violations)} rules broken"
    return Figure("rollouts", f"started after the stop, {rate:.0%} fail", late, "nodes", f"<= {CAP}", told)
