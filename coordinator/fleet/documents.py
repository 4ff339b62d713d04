"""Brings the desired documents in the database up to nodes and deployments, inside the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordinator.errors import Refused
from coordinator.fleet.desired import NONE, Stamp, compile_node, decode, next_document
from coordinator.fleet.records import Applied, Issued, Node
from coordinator.fleet.retained import live_topics
from coordinator.fleet.store import Transaction
from protos.identity import NodeId
from protos.topics import MAX_PAYLOAD, Topics

MAX_DOCUMENT = MAX_PAYLOAD * 3 // 4 - 1024
"""Bytes of a document: its signed form is base64 in JSON and must fit one message."""


@dataclass(frozen=True)
class Change:
    """A node whose desired document changes."""

    node: Node
    issued: Issued


def changes(
    tx: Transaction, nodes: Sequence[Node], deployments: Sequence[Applied], now: datetime
) -> tuple[Change, ...]:
    """The documents that these nodes should have under these deployments (the oldest first) and have not; what
    rollouts make of the deployments is read here.
    """
    held, stamp = tx.documents.of(node.id for node in nodes), Stamp(tx.epoch(), now, tx.roots.newest_number())
    overrides = tx.overrides.of(node.id for node in nodes)
    wanted = (
        (node, next_document(node, compiled, held.get(node.id), stamp))
        for node in nodes
        for compiled in (compile_node(node, deployments, overrides.get(node.id, NONE)),)
    )
    return tuple(Change(node, issued) for node, issued in wanted if issued is not None)


def checked(changed: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes themselves, where a person asked for them; what is issued anew by itself is never refused.

    Raises:
        Refused: a document would be larger than a message may be.
    """
    for change in changed:
        if len(change.issued.payload) > MAX_DOCUMENT:
            raise Refused(f"node {change.node.full_name}: more deployments than one message holds: use fewer pipelines")
    return changed


def issue(tx: Transaction, changed: Iterable[Change], topics: Topics) -> tuple[NodeId, ...]:
    """Store documents, and note which retained live topics nobody writes any more; whose documents they are."""
    issued = tuple(change.issued for change in changed)
    held = tx.documents.of(document.node for document in issued)
    kept: set[str] = set()
    for document in issued:
        before, current = held.get(document.node), live_topics(decode(document), topics)
        stale = frozenset() if before is None else live_topics(decode(before), topics) - current
        if stale:
            tx.retained.add(document.node, stale)
        kept |= current
    tx.retained.keep(kept)
    tx.documents.put_all(issued)
    return tuple(document.node for document in issued)
