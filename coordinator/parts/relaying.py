"""The relay of live results, put together: what the fleet's tables say of nodes decides what is relayed, and where."""

from collections.abc import Collection
from functools import partial

from coordinator.db.control import ControlStore
from coordinator.fleet.desired import decode
from coordinator.fleet.records import Issued
from coordinator.parts.messaging import Messaging
from coordinator.results.live_places import LivePlace, LivePlaces
from coordinator.results.relay import Relay
from coordinator.results.tail import TailHub
from protos.identity import NodeId
from protos.topics import Topics


class Relaying:
    """`relay` runs in the background; `places` is told when something has changed."""

    def __init__(self, store: ControlStore, hub: TailHub, messaging: Messaging, topics: Topics) -> None:
        self.places = LivePlaces(partial(relayed_places, store))
        self.relay = Relay(hub, messaging.client.publish, topics, self.places)


def relayed_places(store: ControlStore, nodes: Collection[NodeId]) -> dict[NodeId, LivePlace]:
    """The places of those among the nodes that leave it to the coordinator to publish their live results.

    Raises:
        Unreachable: the database does not answer.
    """
    with store.read() as tx:
        found = [node for one in nodes if (node := tx.nodes.get(one)) is not None and node.facts.live == "relayed"]
        documents = tx.documents.of([node.id for node in found])
    return {node.id: LivePlace(node.site, node.name, live_pipelines(documents.get(node.id))) for node in found}


def live_pipelines(issued: Issued | None) -> dict[str, int]:
    """The pipelines of a document whose results are wanted live, with the quality of service. Pure."""
    deployments = () if issued is None else decode(issued).deployments
    pipelines = (pipeline for deployment in deployments for pipeline in deployment.pipelines)
    return {pipeline.name: pipeline.live.qos for pipeline in pipelines if pipeline.live.enabled}
