"""How many there are."""

from collections import Counter
from dataclasses import dataclass

from coordinator.fleet.presence import Presence
from coordinator.fleet.store import Store


@dataclass(frozen=True)
class Census:
    """Nodes, those online, deployments; and the epoch of the documents."""

    nodes: int
    nodes_online: int
    deployments: int
    epoch: int


def roots_held(store: Store) -> dict[int, int]:
    """How many nodes hold which trust root, by its number; 0: those that have not said."""
    with store.read() as tx:
        return dict(Counter(0 if node.reported is None else node.reported.trust_root for node in tx.nodes.all()))


def take_census(store: Store) -> Census:
    """Count them."""
    with store.read() as tx:
        nodes = tx.nodes.all()
        online = sum(node.connection.presence is Presence.ONLINE for node in nodes)
        return Census(len(nodes), online, len(tx.deployments.all()), tx.epoch())
