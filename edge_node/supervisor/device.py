"""What the node has and does, live: the mutable side that `Actual` is a snapshot of.

Only `effects.py`, the worker's death and a look at the sources change it, always on the event loop. No decision is
taken here.
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_node.capture.handle import Capture
from edge_node.errors import WorkerFailed
from edge_node.pipeline.observation import Observation
from edge_node.repository.tuned import TunedWays
from edge_node.rungs import EngineSettings
from edge_node.serving.client import ServingFailed, ServingProcess
from edge_node.serving.control import Index, Listening
from edge_node.store.bundles import Bundles
from edge_node.store.fetch import Fetcher
from edge_node.store.surplus import Held
from edge_node.supervisor.actual import Actual, Failure, Offered, RunningPipeline, Session
from edge_node.supervisor.backoff import failed_again
from edge_node.supervisor.blame import blamed
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.desired import LastGoodFile
from edge_node.supervisor.failing import failing
from edge_node.supervisor.measuring import Measuring
from edge_node.supervisor.releases import Releases
from edge_node.supervisor.shadows import Shadows
from edge_node.supervisor.sources import trouble_text, troubles_after, unusable
from edge_node.supervisor.steps import BUNDLE, SERVING, WORKER, Step, bundle_subject, session_subject
from edge_node.supervisor.verdict import Verdict
from edge_node.supervisor.verdicts import VerdictFile
from edge_node.telemetry import system
from edge_node.worker.messages import Status, Worker
from protos.desired import DesiredDeployment
from protos.digest import Digest

NEWS_S = 1.0
"""What a worker's status says of a lane may be so much older than what is heard."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A session with the engine and the accelerator that it runs on, and the task of its bundle."""

    session: Session
    engine: str
    accelerator: str
    task: str = ""


@dataclass
class Device:
    """The parts that steps work on, and what they hold now."""

    bundles: Bundles
    releases: Releases
    choices: Choices
    last_good_file: LastGoodFile
    verdict_file: VerdictFile
    measuring: Measuring
    new_worker: Callable[[], Worker]
    new_capture: Callable[[str], Capture]
    new_serving: Callable[[], ServingProcess]
    threads: int
    clock: Callable[[], float]
    on_progress: Callable[[str, int, int], None]
    on_worker_exit: Callable[[str], None]
    on_observed: Callable[[Sequence[Observation]], None] = lambda _: None
    on_worker_status: Callable[[Status], None] = lambda _: None
    engines: EngineSettings = field(default_factory=EngineSettings)
    tuned: TunedWays | None = None
    """how models serve fastest here, where that was measured"""
    new_candidate: Callable[[int | None], Worker] | None = None
    """makes the worker of a candidate, which may hold so many megabytes; None: candidates cannot run here"""
    shadows: Shadows = field(default_factory=Shadows)
    fetcher: Fetcher | None = None
    worker: Worker | None = None
    dead_worker: Worker | None = None
    """to be closed before another is started"""
    known: frozenset[Digest] = frozenset()
    complete: frozenset[Digest] = frozenset()
    held: dict[Digest, Held] = field(default_factory=dict)
    verified: set[Digest] = field(default_factory=set)
    sessions: set[Session] = field(default_factory=set)
    captures: dict[str, Capture] = field(default_factory=dict)
    pipelines: dict[str, RunningPipeline] = field(default_factory=dict)
    last_good: dict[str, DesiredDeployment] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    """what is wrong with captured sources, by name, as `look_at_sources` found it"""
    serving: ServingProcess | None = None
    dead_serving: ServingProcess | None = None
    """to be closed before another is started"""
    listening: Listening | None = None
    """where the serving process takes clients"""
    offered: dict[Session, Offered] = field(default_factory=dict)
    load_s: dict[str, float] = field(default_factory=dict)
    """how long each session took to load, by its key"""
    on_serving_exit: Callable[[str], None] = lambda _: None
    _told: tuple[ServingProcess, Index] | None = None
    serving_deaths: int = 0
    worker_deaths: int = 0
    taken_in_before: int = 0
    """bytes from sources that are no longer captured"""
    loaded: dict[str, Loaded] = field(default_factory=dict)
    """every session since the start by its key, also those that are gone: their last results may come late"""

    def open(self, hardware: str, engines: Mapping[str, str]) -> None:
        """Read what the disk holds."""
        self.bundles.prepare()
        self.choices.load(hardware, engines)
        if self.tuned is not None:
            self.tuned.load(system.hardware(), engines)
        self.last_good = self.last_good_file.load()
        self.verdicts = self.verdict_file.start()
        self.releases.open(tuple(self.last_good.values()))
        self.rescan()

    def rescan(self) -> None:
        """Look again which bundles are on the disk."""
        held = self.bundles.held()
        self.known, self.complete = frozenset(held), self.bundles.complete()
        self.held = {digest: one for digest, one in held.items() if digest in self.complete}

    def actual(self) -> Actual:
        """A snapshot."""
        status = None if self.worker is None else self.worker.status
        return Actual(
            known=self.known,
            complete=self.complete,
            held=self.held,
            verified=frozenset(self.verified),
            choices=self.choices.valid(),
            worker=self.worker is not None,
            sessions=frozenset(self.sessions),
            captures=frozenset(self.captures),
            pipelines=dict(self.pipelines),
            last_good=dict(self.last_good),
            failing=failing(() if status is None else status.pipelines, self.pipelines),
            unusable=unusable(self.troubles),
            failures=dict(self.failures),
            serving=self.serving is not None,
            offered=dict(self.offered),
            standing={} if status is None else {one.session: one for one in status.loaded},
            verdicts=dict(self.verdicts),
            vitals=self.measuring.vitals(),
            shadows=self.shadows.standing(),
        )

    def observed(self, observations: Sequence[Observation]) -> None:
        """Count answers as those of the versions that gave them."""
        self.shadows.observed(observations)
        for seen in observations:
            running, loaded = self.pipelines.get(seen.pipeline), self.loaded.get(seen.session)
            if running is not None and loaded is not None:
                self.measuring.answered(running.deployment, loaded.session.digest, seen)

    def measure(self) -> None:
        """Take in what the worker says of itself."""
        self.shadows.look()
        self.measuring.look(None if self.worker is None else self.worker.status, self._standing_on())

    def judge(self, deployment: str, verdict: Verdict | None) -> None:
        """Go by what is thought of a deployment's version from now on; what is tried again begins anew."""
        before = self.verdicts.get(deployment)
        if before not in (None, verdict) and (verdict is None or verdict.state == "on"):
            self.forgive(before.digest)
        if verdict is None:
            self.verdicts.pop(deployment, None)
            self.measuring.forget(deployment)
            return
        self.verdicts[deployment] = verdict
        if verdict.state == "on" and verdict != before:
            self.measuring.begin(deployment, verdict.digest)

    def forgive(self, digest: Digest) -> None:
        """Nothing is held back any more because this version failed."""
        self.choices.forgive(digest)
        sessions = [one.session for one in self.loaded.values() if one.session.digest == digest]
        for subject in (bundle_subject(digest), *map(session_subject, sessions)):
            self.failures.pop(subject, None)

    def _standing_on(self) -> dict[str, frozenset[tuple[str, Digest]]]:
        """Which deployments' versions stand on each session, by its key."""
        standing: dict[str, frozenset[tuple[str, Digest]]] = {}
        serving = [(run.session, run.deployment) for run in self.pipelines.values()]
        serving += [(session, one.deployment) for session, one in self.offered.items() if one.connected]
        for session, deployment in serving:
            standing[session.key] = standing.get(session.key, frozenset()) | {(deployment, session.digest)}
        return standing

    def look_at_sources(self) -> dict[str, str]:
        """What is wrong with captured sources, by name; what is new is logged, once."""
        states = {name: capture.report.state for name, capture in self.captures.items()}
        before, self.troubles = self.troubles, troubles_after(self.troubles, states)
        for name, trouble in self.troubles.items():
            if before.get(name) != trouble:
                log.warning("%s", trouble_text(name, trouble))
        for name in before.keys() & states.keys() - self.troubles.keys():
            log.info("source %r gives frames again", name)
        return dict(self.troubles)

    def taken_in(self) -> int:
        """Bytes that came from sources since the start, encoded."""
        return self.taken_in_before + sum(capture.report.ingress_bytes for capture in self.captures.values())

    def memory_for_models(self) -> int | None:
        """What a model could take of memory with nothing else loaded, in bytes; None: the kernel does not say."""
        available_kb = system.memory_available_kb()
        status = None if self.worker is None else self.worker.status
        return None if available_kb is None else (available_kb + (status.memory_kb if status else 0)) * 1024

    def fail(self, subject: str, reason: str, *, refused: bool = False) -> None:
        """Remember a failure, and hold its subject back for a while."""
        self.failures[subject] = failed_again(self.failures.get(subject), reason, self.clock(), refused=refused)

    def hold_back_failing(self) -> None:
        """Remember what answers no frame as one remembers a failed step, unless it is held back already."""
        actual = self.actual()
        for pipeline, why in actual.failing.items():
            subject = session_subject(actual.pipelines[pipeline].session)
            known = self.failures.get(subject)
            if known is None or known.retry_at <= self.clock():
                self.fail(subject, f"pipeline {pipeline!r} fails: {why}")

    def worker_died(self, reason: str, under_way: Collection[Step]) -> None:
        """The worker is gone and everything that it held; hold back what it died of."""
        standing = self._standing_on()
        for session in blamed(self.actual(), under_way):
            self.fail(session_subject(session), reason)
            for deployment, digest in standing.get(session.key, ()):
                self.measuring.died(deployment, digest)
        self.measuring.worker_ended()
        self.fail(WORKER, reason)
        self.worker_deaths += 1
        self.dead_worker, self.worker = self.worker, None
        self.sessions.clear()
        self.pipelines.clear()
        self.offered = {session: replace(one, connected=False) for session, one in self.offered.items()}

    def serving_died(self, reason: str) -> None:
        """The serving process is gone; hold it back for a while."""
        self.fail(SERVING, reason)
        self.serving_deaths += 1
        self.dead_serving, self.serving = self.serving, None
        self.offered.clear()

    def look_at_lanes(self, status: Status) -> bool:
        """Whether a lane was lost since it was opened, though worker and serving process live: it is opened again."""
        lost, before = {lane.session for lane in status.lanes if not lane.open}, self.clock() - NEWS_S
        connected = [session for session, one in self.offered.items() if one.connected and one.since < before]
        over = [session for session in connected if session.key in lost]
        for session in over:
            log.warning("the lane of session %s was lost", session.key)
            self.offered[session] = replace(self.offered[session], connected=False)
        return bool(over)

    def tell(self, index: Index) -> None:
        """Tell the serving process what there is to ask, where that has changed."""
        if self.serving is not None and (self.serving, index) != self._told:
            with contextlib.suppress(ServingFailed):  # its end is on its way to us
                self.serving.index(index.models, ready=index.ready)
            self._told = self.serving, index

    def forgive_fetches(self) -> None:
        """Let whatever failed with a bundle be tried again at once: the coordinator is back."""
        for subject in [subject for subject in self.failures if subject.startswith(BUNDLE)]:
            del self.failures[subject]

    async def close(self) -> None:
        """Finish the frames and the clients' asks in work, then end all processes."""
        if self.worker is not None:
            for name in list(self.pipelines):
                with contextlib.suppress(WorkerFailed):
                    await self.worker.stop(name)
        self.pipelines.clear()
        for serving in filter(None, (self.serving, self.dead_serving)):
            await serving.close()
        self.serving = self.dead_serving = None
        self.offered.clear()
        self.sessions.clear()
        for worker in filter(None, (self.worker, self.dead_worker)):
            await worker.close()
        self.worker = self.dead_worker = None
        await self.shadows.close()
        for capture in self.captures.values():
            await capture.close()
        self.captures.clear()
