"""Which retained messages a node leaves on the broker, so that none stays when it goes or is called otherwise."""

from protos.desired import Desired
from protos.identity import NodeId
from protos.topics import RETAINED, Topics


def control_topics(node: NodeId, topics: Topics) -> frozenset[str]:
    """The retained control topics of a node."""
    return frozenset(topics.of_node(node, kind) for kind in RETAINED)


def live_topics(desired: Desired, topics: Topics) -> frozenset[str]:
    """The retained live topics of a node that runs this document: its availability and its pipelines' last values."""
    states = (
        topics.live_state(desired.site, desired.name, pipeline.name, state)
        for deployment in desired.deployments
        for pipeline in deployment.pipelines
        if pipeline.live.enabled
        for state in pipeline.live.state
    )
    return frozenset({topics.availability(desired.site, desired.name), *states})
