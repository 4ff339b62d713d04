"""The candidates that run beside current versions: their workers, what they watch, and how they compare.

The mutable side of `ShadowStanding`, on the event loop. A candidate has a worker of its own, which gives way to
everything else; its answers are compared here with those of the current version to the same frames, and dropped. What
becomes of a shadow is decided in `shadowing`.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from edge_node.outbox.events import rfc3339
from edge_node.pipeline.observation import Observation
from edge_node.supervisor.actual import RunningPipeline, Session, ShadowStanding
from edge_node.supervisor.comparing import Comparing
from edge_node.supervisor.failing import IN_A_ROW
from edge_node.telemetry.shifts import shift_of
from edge_node.telemetry.system import own_memory_kb
from edge_node.worker.messages import Worker
from protos.egress_fields import LONGEST_LINE
from protos.evidence import Evidence, ReportedShadow, Shadow

LEAST_REPORT_S = 1.0

log = logging.getLogger(__name__)


def minute_of_day() -> int:
    """The minute of the day here, 0 to 1439."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


@dataclass
class Run:
    """A candidate beside the current version of a deployment, or why there is none any more."""

    shadow: Shadow
    worker: Worker | None = None
    session: Session | None = None
    task: str = ""
    follows: tuple[RunningPipeline, ...] = ()
    comparing: dict[str, Comparing] = field(default_factory=dict)
    failed: str = ""
    since: str = ""
    memory_mb: float = 0.0
    told: ReportedShadow | None = None
    tell_at: float = 0.0


class Shadows:
    """The shadows of a device, by deployment.

    Args:
        clock: monotonic seconds.
        wall_ns: the wall clock, nanoseconds since 1970.
        minute: of the day here.
        jitter: a number 0..1, drawn anew each time: a fleet's reports spread over a quarter of their pause.

    `on_changed` is called when one ends by itself.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        minute: Callable[[], int] = minute_of_day,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.on_changed: Callable[[], None] = lambda: None
        self.runs: dict[str, Run] = {}
        self._clock = clock
        self._wall_ns = wall_ns
        self._minute = minute
        self._jitter = jitter

    def standing(self) -> dict[str, ShadowStanding]:
        """How each stands, for the plan and the report."""
        return {
            name: ShadowStanding(run.shadow, run.session, run.follows, run.failed, run.told, run.tell_at)
            for name, run in self.runs.items()
        }

    def begin(self, deployment: str, run: Run) -> None:
        """A candidate is loaded: hear its answers from now on."""
        assert run.worker is not None
        run.since = rfc3339(self._wall_ns())
        run.worker.on_observed = lambda seen: self._answered(run, seen)
        run.worker.on_status = lambda _: self.look()
        run.worker.on_exit = lambda reason: self._died(deployment, run, reason)
        self.runs[deployment] = run
        self._tell(run)

    def fail(self, deployment: str, run: Run, reason: str) -> None:
        """It ends here; what was measured stays, to be told."""
        log.warning("the shadow of deployment %s ends: %s", deployment, reason)
        run.failed, run.follows = reason, ()
        self.runs[deployment] = run
        self._tell(run)

    def compares(self, run: Run, follows: Sequence[RunningPipeline]) -> None:
        """These pipelines are watched from now on; where one is on another session, its comparison begins anew."""
        for one in follows:
            name, key = one.settings.name, one.session.key
            if name not in run.comparing or run.comparing[name].session != key:
                run.comparing[name] = Comparing(name, key, run.shadow.share)
        run.follows = tuple(follows)

    def observed(self, observations: Sequence[Observation]) -> None:
        """What the current versions answered."""
        for run in self.runs.values():
            if run.follows:
                shift = self._shift(run)
                for seen in observations:
                    if seen.pipeline in run.comparing:
                        run.comparing[seen.pipeline].current(seen, shift)

    def look(self) -> None:
        """Look how the candidates do: what they fail of, and what there is to tell again."""
        now = self._clock()
        for deployment, run in list(self.runs.items()):
            if run.worker is None or run.failed:
                continue
            if (reason := self._count_failures(run)) is not None:
                self.fail(deployment, run, reason)
                self.on_changed()
            elif now >= run.tell_at:
                self._tell(run)

    async def close(self) -> None:
        """End all workers."""
        for run in self.runs.values():
            await close(run)
        self.runs.clear()

    def _count_failures(self, run: Run) -> str | None:
        """Count the frames that the candidate failed; the reason where it answers none any more."""
        status = None if run.worker is None else run.worker.status
        failing: str | None = None
        for one in () if status is None else status.pipelines:
            if one.name in run.comparing:
                run.comparing[one.name].failed(one.failed, self._shift(run))
            if one.failing >= IN_A_ROW:
                failing = f"pipeline {one.name!r} fails with it: {one.error}"
        return failing

    def _answered(self, run: Run, observations: Sequence[Observation]) -> None:
        shift = self._shift(run)
        for seen in observations:
            if seen.pipeline in run.comparing:
                run.comparing[seen.pipeline].candidate(seen, shift)

    def _died(self, deployment: str, run: Run, reason: str) -> None:
        if self.runs.get(deployment) is run and not run.failed:
            self.fail(deployment, run, reason)
            self.on_changed()

    def _tell(self, run: Run) -> None:
        """Put down what is to be told until the next time."""
        held_kb = None if run.worker is None or run.worker.pid is None else own_memory_kb(run.worker.pid)
        run.memory_mb = run.memory_mb if held_kb is None else round(held_kb / 1024, 1)
        run.tell_at = self._clock() + max(run.shadow.report_s, LEAST_REPORT_S) * (1 - self._jitter() / 4)
        run.told = ReportedShadow(
            run.shadow.rollout,
            run.shadow.attempt,
            "failed" if run.failed else "on",
            since=run.since,
            reason=run.failed[:LONGEST_LINE],
            memory_mb=run.memory_mb,
            left_out=sum(one.left_out for one in run.comparing.values()),
            evidence=_all(one.evidence() for one in run.comparing.values()),
            reference=_all(one.reference() for one in run.comparing.values()),
        )

    def _shift(self, run: Run) -> str:
        return shift_of(run.shadow.shifts, self._minute()) if run.shadow.shifts else ""


async def close(run: Run) -> None:
    """End a candidate's worker. Idempotent."""
    worker, run.worker, run.session = run.worker, None, None
    if worker is not None:
        await worker.close()


def _all(slices: Iterable[tuple[Evidence, ...]]) -> tuple[Evidence, ...]:
    return tuple(chain.from_iterable(slices))
