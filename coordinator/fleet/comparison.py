"""What the controller asks of the database: whose document is to be published, and which topics are to be cleared."""

from collections.abc import Callable, Collection
from datetime import datetime

from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.desired import decode
from coordinator.fleet.documents import changes, issue
from coordinator.fleet.presence import Presence
from coordinator.fleet.records import Issued, Node
from coordinator.fleet.retained import live_topics
from coordinator.fleet.store import Store
from protos.identity import NodeId
from protos.topics import Topics


class Comparison:
    """Compares what nodes should have with what they say they have. Callable from any thread."""

    def __init__(self, store: Store, topics: Topics, now: Callable[[], datetime]) -> None:
        self._store = store
        self._topics = topics
        self._now = now

    def outdated(self) -> tuple[NodeId, ...]:
        """Bring all documents up to date; the nodes that do not hold theirs and have not refused it."""
        with self._store.write() as tx:
            nodes = admitted_nodes(tx)
            issue(tx, changes(tx, nodes, tx.deployments.all(), self._now()), self._topics)
            issued = tx.documents.all()
        return tuple(node.id for node in nodes if not _holds(node, issued.get(node.id)) and not _refused(node))

    def documents(self, nodes: Collection[NodeId]) -> dict[NodeId, bytes]:
        """The newest documents of these nodes."""
        with self._store.read() as tx:
            return {node: issued.payload for node, issued in tx.documents.of(nodes).items()}

    def absent(self) -> tuple[NodeId, ...]:
        """The nodes that are offline."""
        with self._store.read() as tx:
            return tuple(node.id for node in tx.nodes.all() if node.connection.presence is Presence.OFFLINE)

    def presence(self, nodes: Collection[NodeId]) -> dict[NodeId, tuple[str, Presence]]:
        """The topic of these nodes' live availability, under today's names, and whether they are there."""
        with self._store.read() as tx:
            found = (tx.nodes.get(node) for node in nodes)
            return {
                node.id: (self._topics.availability(node.site, node.name), node.connection.presence)
                for node in found
                if node is not None
            }

    def pending_topics(self) -> tuple[str, ...]:
        """The retained topics that are to be cleared."""
        with self._store.read() as tx:
            return tx.retained.pending()

    def in_use(self) -> frozenset[str]:
        """The retained live topics that nodes have today: what a sweep of a place spares, where it has a new holder."""
        with self._store.read() as tx:
            places = {self._topics.availability(node.site, node.name) for node in tx.nodes.all()}
            documents = tx.documents.all().values()
            return frozenset(places.union(*(live_topics(decode(issued), self._topics) for issued in documents)))

    def cleared(self, topics: Collection[str]) -> None:
        """These topics were cleared."""
        with self._store.write() as tx:
            tx.retained.cleared(topics)


def _holds(node: Node, issued: Issued | None) -> bool:
    return issued is None or node.held_digest == issued.digest


def _refused(node: Node) -> bool:
    return node.reported is not None and bool(node.reported.refusal)
