"""A virtual node: what it does with a document, and what it says of it. A clock and a source of chance come in.

Whether a version has to go is decided by the agent's own rules (`edge_node.supervisor.watch`, `verdict`), of vitals
that chance and the faults make; how long things take is chance. It serves its last good version instead of one that
was sent back, and promotes a version whose trial is over.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from coordinator.sim.faults import Faults
from edge_node.supervisor.verdict import Verdict, attempt_of, counts
from edge_node.supervisor.watch import Vitals, fault, terms_of
from protos.desired import DesiredDeployment
from protos.digest import Digest
from protos.evidence import Evidence, ReportedShadow, ReportedTrial, Shadow, Trial, bucket_of, quantile
from protos.identity import NodeId
from protos.moments import rfc3339
from protos.reported import ReportedDeployment

ANSWERS_A_SECOND = 10
LOADING_S = (2.0, 20.0)
BACK_S = (0.5, 3.0)
"""How long it takes to serve a version that is on the disk already."""
SPREAD = ((0.6, 0.1), (0.8, 0.3), (1.0, 0.4), (1.3, 0.15), (2.0, 0.05))
"""Factor on the latency, share of the answers."""

What = Literal["serve", "settle", "tell", "beside"]
Next = tuple[float, What]
"""seconds from now, and what happens then"""


@dataclass(slots=True)
class VirtualNode:
    """`turn` rises with every document: what follows from an older one happens no more."""

    id: NodeId
    random: Random
    faults: Faults
    serving: DesiredDeployment
    last_good: DesiredDeployment
    slow: float = 1.0
    skew: timedelta = timedelta(0)
    new_latency_ms: float = 20.0
    document: DesiredDeployment | None = None
    document_digest: Digest | None = None
    turn: int = 0
    phase: Literal["pending", "running", "failed"] = "running"
    reason: str = ""
    trial: Literal["", "on", "passed", "returned"] = ""
    since: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    """when the trial, or the shadow, began"""
    hung: bool = False
    restarts: int = 0
    """deaths of its worker that the version on trial is to blame for"""
    verdict: Verdict | None = None

    def adopt(self, wanted: DesiredDeployment, digest: Digest) -> Iterable[Next]:
        """Take up a document."""
        if self.hung:
            return ()
        self.document, self.document_digest, self.turn = wanted, digest, self.turn + 1
        if not counts(self.verdict, wanted):
            self.verdict = None
        if self.verdict is not None and self.verdict.state == "returned":
            self.trial, self.phase, self.reason = "returned", "failed", self.verdict.reason
            return [(0.0, "tell")]
        self.trial, self.reason, self.restarts = "", "", 0
        if wanted.digest == self.serving.digest and wanted.trial is None:
            self.phase, self.last_good = "running", wanted
            return [(0.0, "tell"), *([(self._lasts(LOADING_S), "beside")] if wanted.shadow else ())]
        self.phase = "pending"
        return [(self._lasts(LOADING_S if wanted.trial else BACK_S), "serve")]

    def serve(self, now: datetime) -> Iterable[Next]:
        """The version is loaded: it serves, or cannot."""
        assert self.document is not None
        trial = self.document.trial
        if trial is not None and self.random.random() < self.faults.refusal_rate:
            self.phase, self.reason = "failed", "no variant agrees with the golden vectors"
            return [(0.0, "tell")]
        self.serving, self.phase, self.since = self.document, "running", now
        if trial is None:
            self.last_good = self.document
            return [(0.0, "tell")]
        self.trial = "on"
        if self.random.random() < self.faults.hang_rate:
            self.hung = True
            return ()
        return [(0.0, "tell"), (self._settles_after(trial), "settle")]

    def settle(self) -> Iterable[Next]:
        """The probation is over: passed, or back to the last good version."""
        assert self.document is not None
        wanted = self.document
        why = fault(terms_of(wanted), self._vitals(wanted))
        self.trial, self.reason = ("passed", "") if why is None else ("returned", why)
        self.verdict = Verdict(wanted.digest, attempt_of(wanted), self.trial, self.reason)
        if why is not None:
            self.phase, self.serving = "failed", self.last_good
        return [(0.0, "tell")]

    def _vitals(self, wanted: DesiredDeployment) -> Vitals:
        """What the agent would have counted by the end of the probation."""
        answers = int(terms_of(wanted).healthy_s * ANSWERS_A_SECOND)
        new = self._evidence(answers, self.new_latency_ms, self.faults.new_error_rate)
        before = self._evidence(1000, self.faults.latency_ms, 0.0)
        return Vitals(
            wanted.digest,
            new.samples,
            new.errors,
            quantile(new.latency, 0.5),
            quantile(new.latency, 0.95),
            quantile(before.latency, 0.5),
            self.restarts,
        )

    def beside(self, now: datetime) -> Iterable[Next]:
        """The candidate runs in the shadow."""
        self.since = now
        return [(0.0, "tell")]

    def said(self, now: datetime, *, measures: bool) -> ReportedDeployment:
        """How the deployment stands; with evidence where somebody asks for it."""
        wanted = self.document or self.serving
        return ReportedDeployment(
            name=wanted.name,
            model=wanted.model,
            version=wanted.version,
            digest=wanted.digest,
            phase=self.phase,
            reason=self.reason,
            serving_version=self.serving.version,
            trial=self._trial(wanted.trial, now, measures) if wanted.trial and self.trial else None,
            shadow=self._shadow(wanted.shadow, now) if wanted.shadow and self.since.year > 2000 else None,
        )

    def _settles_after(self, trial: Trial) -> float:
        if self.random.random() < self.faults.failure_rate:
            self.restarts = trial.max_restarts + 1
            return self.random.uniform(0.1, max(trial.healthy_s, 0.2))
        return trial.healthy_s

    def _trial(self, trial: Trial, now: datetime, measures: bool) -> ReportedTrial:
        assert self.trial
        reason = self.reason if self.trial == "returned" else ""
        answers = self._answers(now) if measures else 0
        return ReportedTrial(
            trial.rollout,
            trial.attempt,
            self.trial,
            rfc3339(self.since + self.skew),
            reason,
            evidence=(self._evidence(answers, self.new_latency_ms, self.faults.new_error_rate),) if measures else (),
            reference=(self._evidence(1000, self.faults.latency_ms, 0.0),) if measures else (),
        )

    def _shadow(self, shadow: Shadow, now: datetime) -> ReportedShadow:
        answers = int(self._answers(now) * shadow.share)
        return ReportedShadow(
            shadow.rollout,
            shadow.attempt,
            "on",
            rfc3339(self.since + self.skew),
            evidence=(self._evidence(answers, self.new_latency_ms, self.faults.new_error_rate, answers),),
            reference=(self._evidence(answers, self.faults.latency_ms, 0.0),),
        )

    def _answers(self, now: datetime) -> int:
        return int((now - self.since).total_seconds() * ANSWERS_A_SECOND)

    def _lasts(self, between: tuple[float, float]) -> float:
        return self.random.uniform(*between) * self.slow

    @staticmethod
    def _evidence(answers: int, ms: float, error_rate: float, compared: int = 0) -> Evidence:
        errors = int(answers * error_rate)
        good = answers - errors
        latency = {bucket_of(ms * factor): round(good * share) for factor, share in SPREAD}
        return Evidence(
            "shelf",
            samples=good,
            errors=errors,
            latency=latency,
            confidence=tuple([0] * 15 + [good // 5] * 5),
            classes={"a": good // 2, "b": good - good // 2},
            compared=compared,
            agreed=compared,
        )
