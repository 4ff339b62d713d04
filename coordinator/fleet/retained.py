"""Which retained messages a node leaves on the broker, so that none stays when it goes or is called otherwise."""

from protos.desired import Desired
from protos.identity import NodeId
from protos.topics import HOME_ASSISTANT, RETAINED, Topics

EVERYTHING = "#"
"""The last level of a filter that is swept: whatever is retained there is cleared."""


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


def place_filter(site: str, name: str, topics: Topics) -> str:
    """All live topics of a place."""
    return f"{topics.prefix}/live/{site}/{name}/{EVERYTHING}"


def planted_live_topics(node: NodeId, site: str, name: str, topics: Topics) -> frozenset[str]:
    """Where a hostile node may have left messages for who subscribes to live topics after it is gone."""
    return frozenset({place_filter(site, name, topics), f"{HOME_ASSISTANT}/device/{node}/config"})


def planted_topics(node: NodeId, site: str, name: str, topics: Topics) -> frozenset[str]:
    """Where a hostile node may have left messages at all."""
    return planted_live_topics(node, site, name, topics) | {f"{topics.prefix}/nodes/{node}/{EVERYTHING}"}


def is_filter(topic: str) -> bool:
    """Whether a stale topic stands for all below it."""
    return topic.endswith(f"/{EVERYTHING}")
