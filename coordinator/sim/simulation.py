"""A whole rollout in a virtual fleet: hours in seconds, with the rules that the real one has."""

import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine
from coordinator.rollouts.limits import cap_of
from coordinator.rollouts.records import Rollout
from coordinator.rollouts.service import RolloutService
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import ENDED, Order, Stage, State
from coordinator.sim.acting import Coordinators
from coordinator.sim.agenda import Agenda
from coordinator.sim.faults import Faults
from coordinator.sim.founding import TOPICS, found
from coordinator.sim.outcome import Outcome, WaveOutcome
from coordinator.sim.watching import Tally, Watch
from coordinator.sim.world import Happening, World
from protos.bundle import Manifest, Task, Variant

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)  # a Monday
STEP_S = 2.0
"""What happens within so long is taken together, as the coordinator does when reports come in swarms."""
MANIFEST = Manifest("simulated", Task.CLASSIFICATION, (Variant("model.onnx", "onnxruntime"),))

Shown = Callable[[Rollout, Tally, float], None]
"""told after every step: the rollout, its members, the virtual seconds since it began"""


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    nodes: int
    spec: RolloutSpec
    faults: Faults
    seed: int = 1
    limit_s: float = 14 * 86400.0
    """the virtual time after which it ends, whatever has come of it"""


def simulate(setting: Setting, show: Shown = lambda *_: None) -> Outcome:
    """The rollout of a setting, from its creation until nothing more happens."""
    store = ControlStore(open_engine("sqlite://"))  # in memory
    try:
        return _Simulation(setting, store).run(show)
    finally:
        store.close()


class _Simulation:
    def __init__(self, setting: Setting, store: ControlStore) -> None:
        self._setting, self._store = setting, store
        self._memory_mb = _memory_mb()
        random = Random(setting.seed)  # noqa: S311 - a simulation is repeated by its seed
        self._agenda: Agenda[Happening] = Agenda(BEGINS)
        spec, faults = setting.spec, setting.faults
        fleet = found(store, setting.nodes, spec.deployment, spec.to, faults, random, BEGINS)
        self._world = World(store, fleet, faults, random, self._agenda, measures=bool(spec.gates))
        self._acting = Coordinators(store, self._now, faults.coordinators, faults.crash_rate, random)
        self._rollouts = RolloutService(store, TOPICS, self._now, lambda _: None, lambda _model, _version: MANIFEST)
        self._watch = Watch()
        self._wake_at: datetime | None = BEGINS
        self._persons = 0

    def run(self, show: Shown) -> Outcome:
        """Until nothing more happens."""
        began, busy = time.perf_counter(), time.process_time()
        rollout = self._rollouts.create(self._setting.spec, "simulator").rollout
        self._world.trouble()
        tally: Tally = {}
        while not self._is_over(rollout, tally) and (at := self._next_at()) is not None:
            rollout, tally = self._step(at, rollout.id)
            show(rollout, tally, (self._now() - BEGINS).total_seconds())
        return self._outcome(rollout, time.perf_counter() - began, time.process_time() - busy)

    def _now(self) -> datetime:
        return self._agenda.now

    def _is_over(self, rollout: Rollout, tally: Tally) -> bool:
        """Whether only a person could change something: nothing is in flight, and nothing under way."""
        rests = rollout.state in (*ENDED, State.FAILED)
        return rests and self._agenda.next_at is None and not any(stage is Stage.ORDERED for _, stage in tally)

    def _next_at(self) -> datetime | None:
        """The end of the next step; None when nothing will happen, or the time is over."""
        due = [at for at in (self._agenda.next_at, self._wake_at) if at is not None]
        at = max(min(due), self._now()) + timedelta(seconds=STEP_S) if due else None
        return at if at is not None and at <= BEGINS + timedelta(seconds=self._setting.limit_s) else None

    def _step(self, at: datetime, rollout_id: str) -> tuple[Rollout, Tally]:
        for happening in self._agenda.until(at):
            self._world.happen(happening)
        news = self._world.store()
        if news or (self._wake_at is not None and self._wake_at <= at):
            documents, self._wake_at = self._acting.act()
            self._world.publish(documents)
        with self._store.read() as tx:
            rollout, tally = tx.rollouts.get(rollout_id), tx.rollouts.tally(rollout_id)
        assert rollout is not None
        self._watch.see(rollout, tally, at)
        self._stand_in(rollout)
        return rollout, tally

    def _stand_in(self, rollout: Rollout) -> None:
        """Do at once what a rollout waits for a person to do, and would go on with."""
        waits = rollout.state is State.AWAITING_APPROVAL or "waits for promote" in rollout.reason
        if waits and rollout.state not in ENDED and self._persons <= _MOST_ORDERS:
            self._persons += 1
            self._rollouts.order(rollout.id, Order.PROMOTE, "simulator", may_approve=True)
            self._wake_at = self._now()

    def _outcome(self, rollout: Rollout, wall_s: float, busy_s: float) -> Outcome:
        with self._store.read() as tx:
            tally, members = tx.rollouts.tally(rollout.id), tx.rollouts.members(rollout.id)
            events = tx.rollouts.events(rollout.id)
        watch, world = self._watch, self._world
        failed = [event for event in events if event.kind == "member" and "wave" in event.detail]
        after_stop = watch.started(world.starts)
        return Outcome(
            nodes=self._setting.nodes,
            seed=self._setting.seed,
            state=str(rollout.state),
            reason=rollout.reason,
            cap=cap_of(rollout.spec, len(members)),
            most_in_flight=watch.most_in_flight,
            started=len({node for _, node in world.starts}),
            failed=len({event.detail["node"] for event in failed}),
            stopped_at_s=None if watch.stop is None else (watch.stop.at - BEGINS).total_seconds(),
            in_flight_at_stop=0 if watch.stop is None else watch.stop.in_flight,
            started_after_stop=after_stop,
            final_states=_stages(tally),
            serving=dict(Counter(f"{node.serving.model}@{node.serving.version}" for node in world.nodes.values())),
            waves=_waves(tally),
            violations=tuple(watch.complaints),
            virtual_s=(self._now() - BEGINS).total_seconds(),
            wall_s=round(wall_s, 3),
            rounds=self._acting.rounds,
            crashes=self._acting.crashes,
            reports=world.reports,
            decisions_per_s=round(self._acting.rounds / max(busy_s, 1e-9), 1),
            memory_kb_per_node=round((_memory_mb() - self._memory_mb) * 1024 / self._setting.nodes, 1),
        )


_MOST_ORDERS = 100


def _stages(tally: Tally) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, stage), count in tally.items():
        found[str(stage)] += count
    return dict(sorted(found.items()))


def _waves(tally: Tally) -> tuple[WaveOutcome, ...]:
    waves = sorted({wave for wave, _ in tally})
    return tuple(
        WaveOutcome(wave, {str(stage): tally[wave, stage] for stage in Stage if (wave, stage) in tally})
        for wave in waves
    )


def _memory_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
