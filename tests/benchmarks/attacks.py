"""Promise S9 in figures: an honest client's p99 beside each attack ÷ alone, medians of rounds in one run of one server.

That attackers share the machine's processor is no part of what is promised: they run at the lowest priority, and
"alone" is beside a program of that priority that only computes.
"""

import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.e2e.attacked_server import Defended, Honest, Peak, defended
from tests.e2e.serving_attackers import ATTACKS

ROUNDS = 3
NAME = "attacks"


def measure(data: Path) -> list[Figure]:
    """Every attack."""
    with tempfile.TemporaryDirectory() as folder, defended(Path(folder)) as server:
        return [_beside(server, attack) for attack in ATTACKS if attack != "computing"]


def _beside(server: Defended, attack: str) -> Figure:
    alone: list[float] = []
    beside: list[float] = []
    with Honest(server) as honest, Peak(server) as peak:
        for _ in range(ROUNDS):
            for attacked, times in (("computing", alone), (attack, beside)):
                with server.attacked(attacked):
                    times.append(honest.p99())
    before, during = statistics.median(alone), statistics.median(beside)
    note = (
        f"p99 {during * 1e3:.1f} ms, alone {before * 1e3:.1f}; {peak.growth_kb / 1024:.0f} MB more; "
        f"{len(honest.lost)} of the honest client's lost"
    )
    return Figure(NAME, f"honest p99 beside {attack} ÷ alone", round(during / before, 2), "", "<= 2", note)
