"""What the fleet's tables say of where live results go: whose are relayed, and in which place."""

from coordinator.db.control import ControlStore
from coordinator.fleet.desired import decode
from coordinator.fleet.records import Issued
from coordinator.results.live_places import LivePlace
from protos.identity import NodeId


def relayed_place(store: ControlStore, node: NodeId) -> LivePlace | None:
    """The place of a node that leaves it to the coordinator to publish its live results, None of any other.

    Raises:
        Unreachable: the database does not answer.
    """
    with store.read() as tx:
        found = tx.nodes.get(node)
        if found is None or found.facts.live != "relayed":
            return None
        return LivePlace(found.site, found.name, live_pipelines(tx.documents.get(node)))


def live_pipelines(issued: Issued | None) -> dict[str, int]:
    """The pipelines of a document whose results are wanted live, with the quality of service. Pure."""
    deployments = () if issued is None else decode(issued).deployments
    pipelines = (pipeline for deployment in deployments for pipeline in deployment.pipelines)
    return {pipeline.name: pipeline.live.qos for pipeline in pipelines if pipeline.live.enabled}
