"""What must hold after every step of a simulation, and what is remembered of its rollout for the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from coordinator.rollouts.limits import cap_of
from coordinator.rollouts.records import Rollout
from coordinator.rollouts.states import ENDED, FOLLOWS, STARTING, Stage, State
from protos.identity import NodeId

Tally = Mapping[tuple[int, Stage], int]
"""wave and stage → members"""
MOST_COMPLAINTS = 20


@dataclass(frozen=True)
class Stop:
    """The moment from which on nobody else might start, and who was in flight then."""

    at: datetime
    reason: str
    in_flight: int


@dataclass
class Watch:
    """Complaints are what did not hold."""

    complaints: list[str] = field(default_factory=list)
    stop: Stop | None = None
    most_in_flight: int = 0
    _last: Rollout | None = None
    _in_flight: int = 0

    def see(self, rollout: Rollout, tally: Tally, now: datetime) -> None:
        """How things are after a step."""
        in_flight = _count(tally, Stage.ORDERED)
        cap = cap_of(rollout.spec, sum(tally.values()))
        self.most_in_flight = max(self.most_in_flight, in_flight)
        self._check(in_flight <= cap, f"{in_flight} in flight, {cap} may")
        early = sum(count for (wave, stage), count in tally.items() if wave > rollout.wave and stage is Stage.ORDERED)
        self._check(not early, f"{early} of a later wave than {rollout.wave} have started")
        self._check_stop(rollout, in_flight, now)
        self._check_moves(rollout)
        self._last, self._in_flight = rollout, in_flight

    def started(self, starts: list[tuple[datetime, NodeId]]) -> int:
        """How many nodes began to serve the new version after the stop: of those in flight then, nobody else."""
        if self.stop is None:
            return 0
        count = sum(at > self.stop.at for at, _ in starts)
        self._check(count <= self.stop.in_flight, f"{count} started after a stop with {self.stop.in_flight} in flight")
        return count

    def _check_stop(self, rollout: Rollout, in_flight: int, now: datetime) -> None:
        """A stop is the newest moment at which nobody else may start; completing is none."""
        if rollout.state in STARTING or rollout.state is State.COMPLETED:
            self.stop = None
        elif self.stop is None and rollout.wave_since is not None:
            # those that are called back were in flight until this step
            self.stop = Stop(now, rollout.reason, max(in_flight, self._in_flight))
        elif self.stop is not None:
            self._check(in_flight <= self.stop.in_flight, "a node was ordered after the stop")

    def _check_moves(self, rollout: Rollout) -> None:
        last = self._last
        if last is None or last.state is rollout.state:
            return
        self._check(last.state not in ENDED, f"what was {last.state} became {rollout.state}")
        self._check(bool(FOLLOWS[last.state]), f"{rollout.state} follows {last.state}")
        self._check(rollout.fence >= last.fence, "an older lease has written")

    def _check(self, holds: bool, complaint: str) -> None:
        if not holds and len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(complaint)


def _count(tally: Tally, stage: Stage) -> int:
    return sum(count for (_, found), count in tally.items() if found is stage)
