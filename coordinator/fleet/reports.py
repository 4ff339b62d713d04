"""What nodes say of themselves, taken into the database. Nothing here publishes.

A node may be somebody's: what it says costs others little. Nothing is taken of one that was revoked, of what belongs
into the audit log so much an hour, and the epoch, which has all documents issued anew, rises once a minute at most.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coordinator.audit.chain import Act
from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.desired import was_not_issued_here
from coordinator.fleet.documents import changes, issue
from coordinator.fleet.egress_policy import policy_changes
from coordinator.fleet.presence import Connection, after, must_be_said
from coordinator.fleet.quota import ACTS_AN_HOUR, Quota
from coordinator.fleet.records import Node
from coordinator.fleet.store import Store, Transaction
from coordinator.fleet.traffic import accumulated
from protos.identity import NodeId
from protos.metrics import Metrics
from protos.reported import Hello, Reported, Status
from protos.topics import Topics

RAISE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Due:
    """What is to be published after a report: the desired documents of nodes, the live availability of nodes."""

    documents: tuple[NodeId, ...] = ()
    availability: tuple[NodeId, ...] = ()


class ReportService:
    """Each method takes one message in, and answers what is due now. Callable from any thread."""

    def __init__(self, store: Store, topics: Topics, now: Callable[[], datetime]) -> None:
        self._store = store
        self._topics = topics
        self._now = now
        self._acts = Quota(ACTS_AN_HOUR)
        self._raised_at: datetime | None = None

    def status(self, node: NodeId, status: Status) -> Due:
        """Presence."""
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            if status.state == "online" and _is_revoked(tx, node):
                return Due()
            connected = after(known.connection, status.state, status.connection)
            tx.nodes.put(replace(known, connection=connected, last_seen=self._now()))
            return Due(availability=_changed(known, connected))

    def hello(self, node: NodeId, hello: Hello) -> Due:
        """What the node holds. Where that was never issued here, this database was restored from a backup: the epoch
        rises, and every node gets its document anew.
        """
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            if _is_revoked(tx, node):
                return Due()
            connected = after(known.connection, "online", hello.connection)
            held = hello.desired_digest
            self._record(tx, policy_changes(known, hello.facts))
            tx.nodes.put(
                replace(known, facts=hello.facts, connection=connected, last_seen=self._now(), held_digest=held)
            )
            restored = was_not_issued_here(hello.epoch, hello.revision, held, tx.epoch(), tx.documents.get(node))
            if restored and self._may_raise():
                tx.raise_epoch(hello.epoch + 1)
                said = {"held": f"{hello.epoch}.{hello.revision}", "epoch": hello.epoch + 1}
                tx.audit.append(Act(node, "fleet.epoch", known.full_name, said), self._now())
                outdated = issue(tx, changes(tx, admitted_nodes(tx), tx.deployments.all(), self._now()), self._topics)
            else:
                outdated = _out_of_date(tx, node, held)
            return Due(outdated, _changed(known, connected))

    def reported(self, node: NodeId, reported: Reported) -> Due:
        """What runs on the node."""
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            if _is_revoked(tx, node):
                return Due()
            held = reported.desired_digest
            self._record(tx, news(known, reported))
            tx.nodes.put(replace(known, reported=reported, held_digest=held, last_seen=self._now()))
            outdated = _out_of_date(tx, node, held)
            if not outdated:
                tx.retained.settle(node)
            return Due() if reported.refusal else Due(outdated)

    def metrics(self, node: NodeId, metrics: Metrics) -> Due:
        """What the node counted."""
        with self._store.write() as tx:
            if tx.nodes.get(node) is not None and not _is_revoked(tx, node):
                tx.traffic.put(accumulated(tx.traffic.get(node), node, metrics, self._now()))
        return Due()

    def _record(self, tx: Transaction, acts: Iterable[Act]) -> None:
        for act in acts:
            if self._acts.take(act.actor, self._now()):
                tx.audit.append(act, self._now())

    def _may_raise(self) -> bool:
        """Whether it is long ago that the epoch was raised. After a restore one node's word is enough for all."""
        now, last = self._now(), self._raised_at
        if last is not None and timedelta(0) <= now - last < RAISE_EVERY:
            return False
        self._raised_at = now
        return True

    @staticmethod
    def _stranger(tx: Transaction, node: NodeId) -> Due:
        """A node that is not known here. Where it was deleted, what it has just written must be cleared again."""
        tx.retained.reopen(node)
        return Due()


def _is_revoked(tx: Transaction, node: NodeId) -> bool:
    """Whether it was revoked: a broker with rules of its own may let it in all the same."""
    return tx.revoked.get(node) is not None


def _out_of_date(tx: Transaction, node: NodeId, held: str | None) -> tuple[NodeId, ...]:
    issued = tx.documents.get(node)
    return () if issued is None or issued.digest == held else (node,)


def _changed(before: Node, connected: Connection) -> tuple[NodeId, ...]:
    return (before.id,) if must_be_said(before.connection.presence, connected.presence) else ()


def news(known: Node, reported: Reported) -> tuple[Act, ...]:
    """What of a report belongs into the audit log: that the node refuses a document, or a version that it should run.
    Each refusal once, however often it is reported.
    """
    before = () if known.reported is None else _refusals(known.reported)
    return tuple(
        Act(known.id, "node.refused", known.full_name, {"deployment": name}, outcome=why)
        for name, why in _refusals(reported)
        if (name, why) not in before
    )


def _refusals(reported: Reported) -> tuple[tuple[str, str], ...]:
    document = (("", reported.refusal),) if reported.refusal else ()
    failed = tuple((one.name, one.reason) for one in reported.deployments if one.phase == "failed")
    return document + failed
