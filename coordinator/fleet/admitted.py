"""Whose results are taken, and who is known at all: remembered for a moment, because it is asked for every message."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator.errors import Unreachable
from coordinator.fleet.records import Node
from coordinator.fleet.store import Store, Transaction
from protos.identity import NodeId

REMEMBERED_S = 5.0


class AdmittedNodes:
    """Whether results of a node are taken: those of a deleted or revoked one are not. Callable from one thread.

    A node that is unknown for another reason (this database was restored from a backup) keeps its results coming.

    Args:
        store: where nodes are kept.
        is_revoked: whether a principal is on the deny-list; answers at once.
        monotonic: seconds.
    """

    def __init__(
        self, store: Store, is_revoked: Callable[[str], bool], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._is_revoked = is_revoked
        self._monotonic = monotonic
        self._answers: dict[NodeId, bool] = {}
        self._since = float("-inf")

    def __call__(self, node: NodeId) -> bool:
        """Whether to take them now; not while the database does not answer: they come again."""
        if self._is_revoked(node):
            return False
        if self._monotonic() - self._since > REMEMBERED_S:
            self._answers.clear()
            self._since = self._monotonic()
        if node not in self._answers:
            try:
                with self._store.read() as tx:
                    self._answers[node] = not tx.retained.is_forgotten(node)
            except Unreachable:
                return False
        return self._answers[node]


def admitted_nodes(tx: Transaction) -> tuple[Node, ...]:
    """All nodes that are not revoked, by site and name: deployments concern no others."""
    revoked = {revocation.principal for revocation in tx.revoked.all()}
    return tuple(node for node in tx.nodes.all() if node.id not in revoked)


@dataclass(frozen=True)
class Known:
    """Everybody with an identity that has not ended: nodes, the common names in certificates, and who was revoked."""

    nodes: Mapping[NodeId, Node]
    common_names: frozenset[str]
    revoked: frozenset[str]


def everybody(store: Store, now: datetime) -> Known:
    """Everybody, as it is now: what a broker's access is made of.

    Whose newest certificate has ended is not there until it has another: a broker may let sessions outlive theirs. A
    node without any that is known (this database was restored from a backup) is there.

    Raises:
        Unreachable: the database does not answer.
    """
    with store.read() as tx:
        certificates = tx.certificates.all()
        ended = frozenset(one.principal for one in certificates if one.not_after <= now)
        return Known(
            nodes={node.id: node for node in tx.nodes.all() if node.id not in ended},
            common_names=frozenset(one.principal for one in certificates) - ended,
            revoked=frozenset(revocation.principal for revocation in tx.revoked.all()),
        )
