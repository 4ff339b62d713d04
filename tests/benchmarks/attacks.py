"""Promise S9 in figures: an honest client's p99 beside each attack ÷ alone, rounds in turns in one run of one server.

That attackers share the machine's processor is no part of what is promised: they give way (`serving_attackers`), and
"alone" is beside a program that gives way as well and only computes. What the server spends on an attack is told beside
the figure, for an attacker that does not come to work on a busy machine proves nothing.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.e2e.attacked_server import Defended, Honest, Peak, defended
from tests.e2e.serving_attackers import ATTACKS

ROUNDS = 4
ASKS = 250
"""of a round: the p99 is of all rounds together, a thousand asks"""
NAME = "attacks"


@dataclass
class Arm:
    """The asks beside one program, and what the serving process spent meanwhile."""

    program: str
    times: list[float] = field(default_factory=list)
    processor_s: float = 0.0
    wall_s: float = 0.0

    def round(self, server: Defended, honest: Honest) -> None:
        """Some more of them."""
        with server.attacked(self.program):
            processor, wall = server.processor_s(), time.perf_counter()
            self.times += honest.times(ASKS)
            self.processor_s += server.processor_s() - processor
            self.wall_s += time.perf_counter() - wall

    @property
    def p99(self) -> float:
        """Seconds."""
        return statistics.quantiles(self.times, n=100)[98]

    @property
    def cores(self) -> float:
        """How much of a core the serving process used."""
        return self.processor_s / self.wall_s


def measure(data: Path) -> list[Figure]:
    """Every attack."""
    with tempfile.TemporaryDirectory() as folder, defended(Path(folder)) as server:
        return [_beside(server, attack) for attack in ATTACKS if attack != "computing"]


def _beside(server: Defended, attack: str) -> Figure:
    alone, beside = Arm("computing"), Arm(attack)
    with Honest(server) as honest, Peak(server) as peak:
        for _ in range(ROUNDS):
            alone.round(server, honest)
            beside.round(server, honest)
    note = (
        f"p99 {beside.p99 * 1e3:.1f} ms, alone {alone.p99 * 1e3:.1f}; server {beside.cores:.2f} of a core, "
        f"alone {alone.cores:.2f}; {peak.growth_kb / 1024:.0f} MB more; "
        f"{len(honest.lost)} of the honest client's lost{honest.lost[:1] or ''}"
    )
    return Figure(NAME, f"honest p99 beside {attack} ÷ alone", round(beside.p99 / alone.p99, 2), "", "<= 2", note)
