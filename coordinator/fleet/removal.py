"""How a node goes: its row, its retained topics, its identity, in one transaction."""

from datetime import datetime

from coordinator.fleet.desired import decode
from coordinator.fleet.records import Node, Revocation
from coordinator.fleet.retained import control_topics, live_topics, planted_topics
from coordinator.fleet.store import Transaction
from protos.topics import Topics


def remove_node(tx: Transaction, node: Node, topics: Topics, now: datetime, revocation: Revocation) -> int:
    """Forget a node and refuse it from now on; how many retained topics are to be cleared."""
    issued = tx.documents.get(node.id)
    stale = control_topics(node.id, topics)
    if issued is not None:
        stale |= live_topics(decode(issued), topics)
    tx.retained.add(node.id, stale | planted_topics(node.id, node.site, node.name, topics))
    tx.retained.forget(node.id, now)
    tx.revoked.add(revocation)
    tx.nodes.remove(node.id)
    return len(stale)
