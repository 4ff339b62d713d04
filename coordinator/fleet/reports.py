"""What nodes say of themselves, taken into the database. Nothing here publishes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.audit.chain import Act
from coordinator.fleet.desired import was_not_issued_here
from coordinator.fleet.documents import changes, issue
from coordinator.fleet.egress_policy import policy_changes
from coordinator.fleet.presence import Connection, after, must_be_said
from coordinator.fleet.records import Node
from coordinator.fleet.store import Store, Transaction
from coordinator.fleet.traffic import accumulated
from protos.identity import NodeId
from protos.metrics import Metrics
from protos.reported import Hello, Reported, Status
from protos.topics import Topics


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

    def status(self, node: NodeId, status: Status) -> Due:
        """Presence."""
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
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
            connected = after(known.connection, "online", hello.connection)
            held = hello.desired_digest
            for act in policy_changes(known, hello.facts):
                tx.audit.append(act, self._now())
            tx.nodes.put(
                replace(known, facts=hello.facts, connection=connected, last_seen=self._now(), held_digest=held)
            )
            if was_not_issued_here(hello.epoch, hello.revision, held, tx.epoch(), tx.documents.get(node)):
                tx.raise_epoch(hello.epoch + 1)
                outdated = issue(tx, changes(tx, tx.nodes.all(), tx.deployments.all(), self._now()), self._topics)
            else:
                outdated = _out_of_date(tx, node, held)
            return Due(outdated, _changed(known, connected))

    def reported(self, node: NodeId, reported: Reported) -> Due:
        """What runs on the node."""
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            held = reported.desired_digest
            for act in news(known, reported):
                tx.audit.append(act, self._now())
            tx.nodes.put(replace(known, reported=reported, held_digest=held, last_seen=self._now()))
            outdated = _out_of_date(tx, node, held)
            if not outdated:
                tx.retained.settle(node)
            return Due() if reported.refusal else Due(outdated)

    def metrics(self, node: NodeId, metrics: Metrics) -> Due:
        """What the node counted."""
        with self._store.write() as tx:
            if tx.nodes.get(node) is not None:
                tx.traffic.put(accumulated(tx.traffic.get(node), node, metrics, self._now()))
        return Due()

    @staticmethod
    def _stranger(tx: Transaction, node: NodeId) -> Due:
        """A node that is not known here. Where it was deleted, what it has just written must be cleared again."""
        tx.retained.reopen(node)
        return Due()


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
