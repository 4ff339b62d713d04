"""What nodes say of themselves, taken into the database. Nothing here publishes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from coordinator.fleet.desired import is_from_the_future
from coordinator.fleet.documents import changes, issue
from coordinator.fleet.presence import after
from coordinator.fleet.records import Node
from coordinator.fleet.store import Store, Transaction
from protos.identity import NodeId
from protos.reported import Hello, Reported, Status
from protos.topics import Topics


class ReportService:
    """Each method answers which nodes' desired documents should be published now. Callable from any thread."""

    def __init__(self, store: Store, topics: Topics, now: Callable[[], datetime]) -> None:
        self._store = store
        self._topics = topics
        self._now = now

    def status(self, node: NodeId, status: Status) -> tuple[NodeId, ...]:
        """Presence."""
        return self._update(
            node,
            lambda known: replace(
                known, connection=after(known.connection, status.state, status.connection), last_seen=self._now()
            ),
        )

    def hello(self, node: NodeId, hello: Hello) -> tuple[NodeId, ...]:
        """What the node holds. Where it holds newer than was issued here, this database was restored from a backup:
        the epoch rises, and every node gets its document anew.
        """
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            tx.nodes.put(
                replace(
                    known,
                    facts=hello.facts,
                    connection=after(known.connection, "online", hello.connection),
                    last_seen=self._now(),
                    held_digest=hello.desired_digest,
                )
            )
            if is_from_the_future(hello.epoch, hello.revision, tx.epoch(), tx.documents.get(node)):
                tx.raise_epoch(hello.epoch + 1)
                return issue(tx, changes(tx, tx.nodes.all(), tx.deployments.all(), self._now()), self._topics)
            return _out_of_date(tx, node, hello.desired_digest)

    def reported(self, node: NodeId, reported: Reported) -> tuple[NodeId, ...]:
        """What runs on the node."""
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            held = reported.desired_digest
            tx.nodes.put(replace(known, reported=reported, held_digest=held, last_seen=self._now()))
            outdated = _out_of_date(tx, node, held)
            if not outdated:
                tx.retained.settle(node)
            return () if reported.refusal else outdated

    def _update(self, node: NodeId, change: Callable[[Node], Node]) -> tuple[NodeId, ...]:
        with self._store.write() as tx:
            known = tx.nodes.get(node)
            if known is None:
                return self._stranger(tx, node)
            tx.nodes.put(change(known))
            return ()

    @staticmethod
    def _stranger(tx: Transaction, node: NodeId) -> tuple[NodeId, ...]:
        """A node that is not known here. Where it was deleted, what it has just written must be cleared again."""
        tx.retained.reopen(node)
        return ()


def _out_of_date(tx: Transaction, node: NodeId, held: str | None) -> tuple[NodeId, ...]:
    issued = tx.documents.get(node)
    return () if issued is None or issued.digest == held else (node,)
