"""The evidence of the versions that serve here, counted as their answers come; and their vitals, by which they are
judged.

    measuring.serves("shelf", digest)          from here on its answers count as this version's
    measuring.answered("shelf", observation)
    measuring.look(status, sessions)           what the worker says each second: failures, clients' answers, memory
    measuring.vitals()

Counts are of this run of the agent: after a restart they begin anew, with a new `since`. No answer is kept. What the
counts mean is `protos.evidence`; what they lead to is decided in `watch.py`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge_node.pipeline.observation import Observation
from edge_node.supervisor.growth import grown_mb
from edge_node.supervisor.watch import ENOUGH, Vitals
from edge_node.telemetry.counting import Counting
from edge_node.worker.messages import Status
from protos.digest import Digest
from protos.evidence import Evidence, merged, quantile

Slice = tuple[str, str]
"""A pipeline and a shift; `CLIENTS` for clients of the node."""
Standing = Mapping[str, frozenset[tuple[str, Digest]]]
"""Which deployments' versions stand on each session, by its key."""
CLIENTS = ""
FINE = COARSE = 60
"""How many of the worker's sizes are kept of its last minute, and of its last hour, about."""
MINUTE_S = 60.0
LOOKS = 5
"""A size that counts against a version has lasted for so many looks."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a version: since when (RFC 3339), its worker's deaths and size, its evidence and that of the
    version before it, up to the switch.
    """

    since: str
    restarts: int
    memory_mb: float
    evidence: tuple[Evidence, ...]
    reference: tuple[Evidence, ...]


@dataclass
class _Version:
    since: str = ""
    restarts: int = 0
    memory_mb: float = 0.0
    error: str = ""
    slices: dict[Slice, Counting] = field(default_factory=dict)
    reference: tuple[Evidence, ...] = ()
    fine: deque[float] = field(default_factory=lambda: deque(maxlen=FINE))
    coarse: deque[float] = field(default_factory=lambda: deque(maxlen=COARSE))
    coarse_at: float = 0.0

    def of(self, pipeline: str, shift: str) -> Counting:
        """The counts of a slice."""
        key = pipeline, shift
        if key not in self.slices:
            self.slices[key] = Counting(pipeline, shift)
        return self.slices[key]

    def evidence(self) -> tuple[Evidence, ...]:
        """The counts of all slices."""
        return tuple(one.evidence() for one in self.slices.values())

    def holds(self, memory_mb: float, now: float) -> None:
        """The worker's size, about a second after the last."""
        self.memory_mb = memory_mb
        self.fine.append(memory_mb)
        if now - self.coarse_at >= MINUTE_S:
            self.coarse.append(memory_mb)
            self.coarse_at = now

    def held_mb(self) -> float:
        """What the worker holds without what it is about to give back: the version before leaves after the switch."""
        newest = tuple(self.fine)[-LOOKS:]
        return min(newest) if len(newest) == LOOKS else 0.0

    def begins(self) -> None:
        """Another worker, or another session in it: sizes before say nothing of its own."""
        self.fine.clear()
        self.coarse.clear()


class Measuring:
    """Measures all deployments of one node, on the event loop.

    Args:
        clock: monotonic, in seconds.
        at: now, RFC 3339 UTC.
    """

    def __init__(self, clock: Callable[[], float], at: Callable[[], str]) -> None:
        self._clock, self._at = clock, at
        self._versions: dict[tuple[str, Digest], _Version] = {}
        self._serving: dict[str, Digest] = {}
        self._newest: Status | None = None
        self._failed: dict[tuple[str, str], int] = {}
        self._clients: dict[str, tuple[int, dict[int, int]]] = {}
        self.shifts: Mapping[str, str] = {}
        """the shift of each deployment now"""

    def begin(self, deployment: str, digest: Digest) -> None:
        """A version is tried, again or for the first time: what was counted of it before is of another attempt."""
        before = self._versions.get((deployment, digest))
        self._versions[deployment, digest] = fresh = _Version()
        if before is not None and self._serving.get(deployment) == digest:
            fresh.since, fresh.reference = self._at(), before.reference

    def serves(self, deployment: str, digest: Digest) -> None:
        """A version takes over, or comes back."""
        before = self._serving.get(deployment)
        version = self._versions.setdefault((deployment, digest), _Version())
        if before == digest:
            return
        if not version.since:
            version.since = self._at()
            known = None if before is None else self._versions.get((deployment, before))
            version.reference = () if known is None else known.evidence()
        version.begins()
        self._serving[deployment] = digest

    def forget(self, deployment: str) -> None:
        """Keep nothing of a deployment but what serves."""
        serving = self._serving.get(deployment)
        for key in [key for key in self._versions if key[0] == deployment and key[1] != serving]:
            del self._versions[key]

    def drop(self, deployment: str) -> None:
        """A deployment is gone."""
        self._serving.pop(deployment, None)
        self.forget(deployment)

    def answered(self, deployment: str, digest: Digest, seen: Observation) -> None:
        """Count an answer, where its version serves: late ones of the version before are not in its reference."""
        if self._serving.get(deployment) == digest:
            took = seen.latency_ms
            counting = self._versions[deployment, digest].of(seen.pipeline, self._shift(deployment))
            counting.add(took.preprocess + took.infer + took.postprocess, seen.outputs)

    def died(self, deployment: str, digest: Digest) -> None:
        """The worker died of a version."""
        self._versions.setdefault((deployment, digest), _Version()).restarts += 1

    def worker_ended(self) -> None:
        """Its counters begin again at 0, its size too."""
        self._newest = None
        self._failed.clear()
        self._clients.clear()
        for version in self._versions.values():
            version.begins()

    def look(self, status: Status | None, sessions: Standing) -> None:
        """Take in what the worker has said since the last look.

        Args:
            status: its newest word.
            sessions: what stands on each session.
        """
        if status is None or status is self._newest:
            return
        self._newest = status
        self._look_at_pipelines(status, sessions)
        self._look_at_clients(status, sessions)
        for deployment, digest in self._serving.items():
            self._versions[deployment, digest].holds(status.memory_kb / 1024, self._clock())

    def vitals(self) -> dict[str, Vitals]:
        """How what serves does, by deployment."""
        return {deployment: self._vitals(deployment, digest) for deployment, digest in self._serving.items()}

    def of(self, deployment: str, digest: Digest) -> Measured | None:
        """What was measured of a version, None where it has not served."""
        known = self._versions.get((deployment, digest))
        if known is None or not (known.since or known.restarts):
            return None
        return Measured(known.since, known.restarts, round(known.memory_mb, 1), known.evidence(), known.reference)

    def _look_at_pipelines(self, status: Status, sessions: Standing) -> None:
        before = self._failed
        self._failed = {(one.name, one.session): one.errors for one in status.pipelines}
        for one in status.pipelines:
            more = _more(one.errors, before.get((one.name, one.session), 0))
            for deployment, digest in sessions.get(one.session, ()):
                self._count_failures(deployment, digest, one.name, more, one.error)

    def _look_at_clients(self, status: Status, sessions: Standing) -> None:
        before = self._clients
        self._clients = {one.session: (one.errors, one.latency) for one in status.lanes}
        for one in status.lanes:
            errors, latency = before.get(one.session, (0, {}))
            for deployment, digest in sessions.get(one.session, ()):
                self._count_failures(deployment, digest, CLIENTS, _more(one.errors, errors), one.error)
                self._count_clients(deployment, digest, latency, one.latency)

    def _count_failures(self, deployment: str, digest: Digest, pipeline: str, more: int, error: str) -> None:
        if more and self._serving.get(deployment) == digest:
            version = self._versions[deployment, digest]
            version.of(pipeline, self._shift(deployment)).failed(more)
            version.error = error

    def _count_clients(
        self, deployment: str, digest: Digest, before: Mapping[int, int], now: Mapping[int, int]
    ) -> None:
        if self._serving.get(deployment) != digest or now == before:
            return
        counting = self._versions[deployment, digest].of(CLIENTS, self._shift(deployment))
        since = before if sum(before.values()) <= sum(now.values()) else {}
        for bucket, count in now.items():
            counting.bucketed(bucket, count - since.get(bucket, 0))

    def _shift(self, deployment: str) -> str:
        return self.shifts.get(deployment, "")

    def _vitals(self, deployment: str, digest: Digest) -> Vitals:
        version = self._versions[deployment, digest]
        total, before = merged(version.evidence()), merged(version.reference)
        return Vitals(
            digest=digest,
            samples=total.samples,
            errors=total.errors,
            p50_ms=quantile(total.latency, 0.5),
            p95_ms=quantile(total.latency, 0.95),
            before_p50_ms=quantile(before.latency, 0.5) if before.samples >= ENOUGH else None,
            restarts=version.restarts,
            memory_mb=version.held_mb(),
            error=version.error,
            grown_mb=max(grown_mb(tuple(version.fine)[-12:]), grown_mb(version.fine), grown_mb(version.coarse)),
        )


def _more(now: int, before: int) -> int:
    """What a counter has grown by; one that is smaller than before has begun again."""
    return now - before if now >= before else now
