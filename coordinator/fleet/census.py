"""How many there are."""

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


def take_census(store: Store) -> Census:
    """Count them."""
    with store.read() as tx:
        nodes = tx.nodes.all()
        online = sum(node.connection.presence is Presence.ONLINE for node in nodes)
        return Census(len(nodes), online, len(tx.deployments.all()), tx.epoch())
