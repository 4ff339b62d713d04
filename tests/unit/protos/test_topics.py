"""Topics: what is built is parsed, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import ContractError
from protos.identity import NodeId
from protos.topics import DELIVERY, FROM_COORDINATOR, NAMED, RETAINED, Kind, NodeTopic, Topics, checked_prefix

NODE = NodeId("0123456789abcdef" * 2)
ids = st.binary(min_size=16, max_size=16).map(lambda raw: NodeId(raw.hex()))
names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)
prefixes = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(prefixes, ids, st.sampled_from(Kind), names)
def test_every_topic_that_is_built_parses_back(prefix: str, node: NodeId, kind: Kind, name: str) -> None:
    topics = Topics(prefix)
    given_name = name if kind in NAMED else None
    assert topics.parse(topics.of_node(node, kind, given_name)) == NodeTopic(kind, node, given_name)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = Topics().parse(text)
    assert parsed is None or Topics().of_node(parsed.node, parsed.kind, parsed.name) == text


@given(st.lists(st.sampled_from([*Kind, "", "/", "x", "+"])).map("/".join) | st.text())
def test_no_text_below_the_nodes_breaks_the_parser(text: str) -> None:
    topic = f"edge/v1/nodes/{NODE}/{text}"
    parsed = Topics().parse(topic)
    assert parsed is None or Topics().of_node(parsed.node, parsed.kind, parsed.name) == topic


@pytest.mark.parametrize(
    "topic",
    [
        f"other/nodes/{NODE}/hello",
        f"edge/v1/nodes/{NODE.upper()}/hello",
        f"edge/v1/nodes/{NODE[:-1]}/hello",
        f"edge/v1/nodes/{NODE}/HELLO",
        f"edge/v1/nodes/{NODE}/hello/x",
        f"edge/v1/nodes/{NODE}/hello/",
        f"edge/v1/nodes/{NODE}/alerts",
        f"edge/v1/nodes/{NODE}/alerts/a/b",
        f"edge/v1/nodes/{NODE}",
        "edge/v1/live/site/node/pipeline",
    ],
)
def test_what_is_no_control_topic_is_none(topic: str) -> None:
    assert Topics().parse(topic) is None


@pytest.mark.parametrize("kind", Kind)
def test_a_name_is_given_exactly_where_the_topic_has_one(kind: Kind) -> None:
    with pytest.raises(ValueError, match=kind):
        Topics().of_node(NODE, kind, None if kind in NAMED else "x")


def test_the_topics_of_the_contract() -> None:
    topics = Topics()
    assert topics.of_node(NODE, Kind.DESIRED) == f"edge/v1/nodes/{NODE}/desired"
    assert topics.of_node(NODE, Kind.ALERTS, "drift") == f"edge/v1/nodes/{NODE}/alerts/drift"
    assert topics.from_all_nodes(Kind.HELLO) == "edge/v1/nodes/+/hello"
    assert topics.from_all_nodes(Kind.REPLIES) == "edge/v1/nodes/+/replies/+"
    assert topics.live("store-12", "cam-3", "shelf") == "edge/v1/live/store-12/cam-3/shelf"
    assert topics.live_state("store-12", "cam-3", "shelf", "label") == "edge/v1/live/store-12/cam-3/shelf/label"
    assert topics.availability("store-12", "cam-3") == "edge/v1/live/store-12/cam-3/availability"


def test_delivery_is_as_the_contract_says() -> None:
    assert set(DELIVERY) == set(Kind)
    assert set(RETAINED) == {Kind.STATUS, Kind.DESIRED, Kind.REPORTED, Kind.ACKED}
    assert {kind for kind, delivery in DELIVERY.items() if delivery.qos == 0} == {Kind.PROGRESS, Kind.METRICS}
    assert {Kind.DESIRED, Kind.ACKED, Kind.COMMANDS} == FROM_COORDINATOR


@pytest.mark.parametrize("prefix", ["", "/", "edge/", "/edge", "edge//v1", "edge/+", "#", "edge/V1", "$SYS"])
def test_a_prefix_that_would_break_topics_is_refused(prefix: str) -> None:
    with pytest.raises(ContractError, match="topic prefix"):
        checked_prefix(prefix)


@given(prefixes)
def test_a_prefix_of_names_is_fine(prefix: str) -> None:
    assert checked_prefix(prefix) == prefix
