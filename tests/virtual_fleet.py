"""Many virtual nodes against a real control database, on a clock that the test moves; for who acts on rollouts.

What is real: the database, its transactions, what documents say, how reports are taken in. A virtual node takes up what
was published for it, and says what its script says. Whoever acts may be killed at any call to the database.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

import msgspec

from coordinator.db.control import ControlStore
from coordinator.db.tables import nodes as node_table
from coordinator.db.upsert import upsert_all
from coordinator.fleet.comparison import Comparison
from coordinator.fleet.deployments import DeploymentService
from coordinator.fleet.reports import ReportService
from coordinator.registry.records import Version
from coordinator.rollouts.limits import cap_of
from coordinator.rollouts.records import Rollout
from coordinator.rollouts.rounds import Round, Rounds
from coordinator.rollouts.service import RolloutService
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import HAS_NEW, STARTING, Stage
from protos.bundle import Manifest, Task, Variant
from protos.deployment import Deployment, Pipeline
from protos.desired import Desired, DesiredDeployment, state_digest
from protos.digest import Digest, digest_of
from protos.evidence import ReportedTrial
from protos.identity import NodeId
from protos.oci import BundleFile
from protos.reported import Facts, Reported, ReportedDeployment
from protos.topics import Topics

TOPICS = Topics()
BEGUN = datetime(2026, 5, 1, 10, tzinfo=UTC)
MANIFEST = Manifest("m", Task.CLASSIFICATION, (Variant("m.onnx", "onnxruntime"),))
SPEC = Deployment("shelf", "", "m@1", (Pipeline("shelf", "shelf"),))


class Killed(BaseException):
    """The process that acted is gone: whatever it had not committed never was."""


@dataclass
class VirtualNode:
    """What a node holds, and what it ever held: `starts` are the trials that it was told to begin."""

    id: NodeId
    document: Desired | None = None
    digest: Digest | None = None
    starts: list[tuple[str, int]] = field(default_factory=list)
    fate: str = ""
    """of the trial that it is in"""

    def adopt(self, payload: bytes, fate: Callable[[], str]) -> bool:
        """Take up a document that is newer than its own."""
        document = msgspec.json.decode(payload, type=Desired)
        held = self.document
        if held is not None and document.revision <= held.revision:
            assert document.revision < held.revision or state_digest(payload) == self.digest, "one number, two contents"
            return False
        before, after = _trial(held), _trial(document)
        if after is not None and after != before:
            self.starts.append(after)
            self.fate = fate()
        self.document, self.digest = document, state_digest(payload)
        return True

    def report(self) -> Reported:
        """How everything stands."""
        assert self.document is not None
        said = tuple(self._said(wanted) for wanted in self.document.deployments)
        return Reported(self.id, self.document.epoch, self.document.revision, self.digest, "", said)

    def _said(self, wanted: DesiredDeployment) -> ReportedDeployment:
        of = wanted.trial
        trial = None if of is None else ReportedTrial(of.rollout, of.attempt, self.fate)  # type: ignore[arg-type]
        serving = wanted.version - 1 if trial is not None and trial.state == "returned" else wanted.version
        phase: Literal["running", "failed"] = "failed" if serving != wanted.version else "running"
        return ReportedDeployment(
            wanted.name, wanted.model, wanted.version, wanted.digest, phase, trial=trial, serving_version=serving
        )


def _trial(document: Desired | None) -> tuple[str, int] | None:
    trials = (one.trial for one in document.deployments) if document else ()
    return next(((one.rollout, one.attempt) for one in trials if one is not None), None)


class VirtualFleet:
    """Nodes that run version 1 of model m, which has a version 2, on a store that is new.

    Args:
        store: the database.
        count: how many nodes.
        random: decides what trials come to, and when whoever acts is killed.
        failing: the share of trials that end with the node going back.
        clock: where the clock begins; None: it is the real one.
    """

    def __init__(
        self,
        store: ControlStore,
        count: int,
        random: Random,
        failing: float = 0.0,
        clock: datetime | None = BEGUN,
    ) -> None:
        self.store = store
        self.random = random
        self.failing = failing
        self.clock = clock
        self.kills = 0
        self.nodes = {node: VirtualNode(node) for node in (NodeId(f"{number:032x}") for number in range(count))}
        parts = (store, TOPICS, self.now, lambda _: None, lambda _model, _version: MANIFEST)
        self.deployments, self.rollouts = DeploymentService(*parts), RolloutService(*parts)
        self.comparison = Comparison(store, TOPICS, self.now)
        self._reports = ReportService(store, TOPICS, self.now)
        self._lives = 0
        self._waiting: dict[NodeId, None] = {}
        """nodes that have something to say"""
        self._ordered: set[tuple[NodeId, int]] = set()
        self._stopped = False
        self._prepare()

    def now(self) -> datetime:
        """The clock."""
        return datetime.now(UTC) if self.clock is None else self.clock

    def pass_time(self, seconds: float) -> None:
        """Move the virtual clock."""
        self.clock = self.now() + timedelta(seconds=seconds)

    def create(self, **changes: Any) -> Rollout:
        """A rollout to version 2."""
        spec = RolloutSpec("shelf", "m@2", **{"auto_promote": True, "auto_revert": True, **changes})
        return self.rollouts.create(spec, "admin:tester").rollout

    def acting(self, store: Any = None) -> Rounds:
        """A process that acts: each call makes another one."""
        self._lives += 1
        return Rounds(store or self.store, TOPICS, self.now, f"life {self._lives}")

    def publish(self, nodes: Collection[NodeId]) -> None:
        """Nodes hear of their newest documents."""
        for node, payload in self.comparison.documents(nodes).items():
            if self.nodes[node].adopt(payload, self._fate):
                self._waiting[node] = None

    def publish_what_differs(self) -> None:
        """What a process does first of all, and every minute."""
        self.publish(self.comparison.outdated())

    def report(self, most: int | None = None) -> None:
        """Some of the nodes that have something to say say it, in any order."""
        waiting = list(self._waiting)
        self.random.shuffle(waiting)
        for node in waiting[:most]:
            del self._waiting[node]
            self._reports.reported(node, self.nodes[node].report())

    def round(self, rounds: Rounds) -> Round:
        """One round, after which everything must be as it should."""
        try:
            return rounds.once()
        finally:
            self.check()

    def check(self) -> None:
        """What must hold whenever nobody writes."""
        with self.store.read() as tx:
            active = tx.rollouts.active()
            members = {one.id: tx.rollouts.members(one.id) for one in active}
            issued = tx.documents.all()
        for rollout in active:
            flying = sum(member.stage is Stage.ORDERED for member in members[rollout.id])
            assert flying <= cap_of(rollout.spec, len(members[rollout.id])), "more in flight than may be"
            ordered = {(one.node, one.attempt) for one in members[rollout.id] if one.stage in HAS_NEW}
            if rollout.state not in STARTING and self._stopped:
                assert ordered <= self._ordered, "somebody started after the stop"
            self._stopped = rollout.state not in STARTING
            self._ordered |= ordered
            for member in members[rollout.id]:
                document = msgspec.json.decode(issued[member.node].payload, type=Desired)
                assert (_trial(document) == (rollout.id, member.attempt)) == (member.stage in HAS_NEW)
        for node in self.nodes.values():
            assert len(set(node.starts)) == len(node.starts), "told twice to begin the same trial"

    def versions(self) -> set[int]:
        """Which versions nodes run now without a trial; 0 for one that is on trial."""
        found = (node.document.deployments[0] for node in self.nodes.values() if node.document)
        return {0 if one.trial else one.version for one in found}

    def state(self, rollout: str = "shelf-1") -> str:
        """Of a rollout."""
        with self.store.read() as tx:
            found = tx.rollouts.get(rollout)
        assert found is not None
        return str(found.state)

    def audited(self, action: str) -> int:
        """How often the audit log has an action."""
        with self.store.read() as tx:
            return sum(entry.action == action for entry in tx.audit.after(0, 1_000_000))

    def _fate(self) -> str:
        return "returned" if self.random.random() < self.failing else "passed"

    def _prepare(self) -> None:
        row: dict[str, object] = {
            "site": "s",
            "labels": "{}",
            "facts": msgspec.json.encode(Facts(sources=("shelf",))).decode(),
        }
        row |= {"registered_at": BEGUN, "presence": "online", "connection": "c", "reported": "", "last_seen": BEGUN}
        with self.store.write() as tx:
            rows = [{"id": node, "name": f"n{number}", **row} for number, node in enumerate(self.nodes)]
            upsert_all(tx._connection, node_table, rows)
            for number in (1, 2):
                tx.versions.take_number("m", number)
                files = (BundleFile("model.toml", digest_of(b"toml"), 4),)
                tx.versions.add(Version("m", number, digest_of(b"%d" % number), "tensor", 4, BEGUN, files))
        self.deployments.apply(SPEC, dry_run=False)
        self.publish_what_differs()
        self.report()
        assert self.versions() == {1}


class DyingStore:
    """The store of a process that is killed at its n-th call to the database; commits count as calls."""

    def __init__(self, store: ControlStore, calls: int) -> None:
        self._store = store
        self._left = calls

    @contextmanager
    def read(self) -> Iterator[Any]:
        """A transaction that only reads."""
        with self._store.read() as tx:
            yield _Dying(tx, self._call)

    @contextmanager
    def write(self) -> Iterator[Any]:
        """A transaction that writes."""
        with self._store.write() as tx:
            yield _Dying(tx, self._call)
            self._call()  # before the commit
        self._call()  # after it

    def _call(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise Killed


class _Dying:
    """A transaction, or rows of one, whose every call may be the last."""

    def __init__(self, itself: Any, call: Callable[[], None]) -> None:
        self._itself = itself
        self._call = call

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._itself, name)
        if not callable(found):
            return _Dying(found, self._call)

        def called(*arguments: Any) -> Any:
            self._call()
            return found(*arguments)

        return called
