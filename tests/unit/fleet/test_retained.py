"""Which retained messages a node leaves behind."""

from datetime import UTC, datetime

from coordinator.fleet.desired import Stamp, compile_node, decode, next_document
from coordinator.fleet.retained import control_topics, live_topics
from protos.deployment import Live
from protos.desired import Desired
from protos.topics import Topics
from tests.unit.fleet.examples import a_deployment, a_node

TOPICS = Topics("edge/v1")


def document(live: Live) -> Desired:
    """The document of a node with one pipeline."""
    compiled = compile_node(a_node(), [a_deployment(live=live)])
    issued = next_document(a_node(), compiled, None, Stamp(1, datetime(2026, 5, 1, tzinfo=UTC)))
    assert issued is not None
    return decode(issued)


def test_a_nodes_control_topics_are_all_that_are_retained() -> None:
    node = a_node().id
    kinds = ("status", "desired", "reported", "acked")
    assert control_topics(node, TOPICS) == {f"edge/v1/nodes/{node}/{kind}" for kind in kinds}


def test_its_live_topics_are_availability_and_the_last_values_of_its_pipelines() -> None:
    assert live_topics(document(Live(state=("label", "count"))), TOPICS) == {
        "edge/v1/live/store-12/cam-3/availability",
        "edge/v1/live/store-12/cam-3/shelf/label",
        "edge/v1/live/store-12/cam-3/shelf/count",
    }


def test_a_pipeline_that_is_not_live_leaves_nothing() -> None:
    assert live_topics(document(Live(enabled=False, state=("label",))), TOPICS) == {
        "edge/v1/live/store-12/cam-3/availability"
    }
