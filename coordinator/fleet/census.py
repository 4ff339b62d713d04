"""How many there are."""

from collections import Counter
from dataclasses import dataclass

from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.presence import Presence
from coordinator.fleet.store import Store


@dataclass(frozen=True)
class Census:
    """Nodes that are not revoked, those online, deployments; and the epoch of the documents."""

    nodes: int
    nodes_online: int
    deployments: int
    epoch: int


def roots_held(store: Store) -> dict[int, int]:
    """How many nodes that are not revoked hold which trust root, by its number; 0: those that have not said."""
    with store.read() as tx:
        return dict(Counter(0 if node.reported is None else node.reported.trust_root for node in admitted_nodes(tx)))


def take_census(store: Store) -> Census:
    """Count them."""
    with store.read() as tx:
        nodes = admitted_nodes(tx)
        online = sum(node.connection.presence is Presence.ONLINE for node in nodes)
        return Census(len(nodes), online, len(tx.deployments.all()), tx.epoch())
