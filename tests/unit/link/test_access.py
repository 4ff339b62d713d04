"""The rules of brokers: what a filter may match, and who has which topics. Brokers are judged in tests/conformance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from coordinator.link.access import AccessTable, Place, access_table, allows, grants_of
from protos.errors import ContractError
from protos.identity import NodeId
from protos.principal import Role
from protos.topics import Kind, Topics, checked_prefix

A, B = NodeId("a" * 32), NodeId("b" * 32)
TABLE = AccessTable({A: Place("store-12", "cam-3"), B: Place("store-13", "cam-3")}, frozenset({"viewer:v"}))
TOPICS = Topics("edge/v1")
EVERYBODY = [A, B, "coordinator", "viewer:v", "viewer:w", "admin:a", "publisher:p", "", "root", "c" * 32]

names = st.sampled_from(["a", "b", "$c", "ä"])
topics = st.lists(names, min_size=1, max_size=4).map("/".join)
patterns = st.tuples(st.sampled_from(["a", "b"]), st.lists(names | st.just("+"), max_size=3), st.booleans()).map(
    lambda parts: "/".join([parts[0], *parts[1], *(["#"] if parts[2] else [])])
)
filters = st.tuples(st.lists(names | st.just("+"), max_size=3), st.booleans()).map(
    lambda parts: "/".join([*parts[0], *(["#"] if parts[1] or not parts[0] else [])])
)


@given(patterns, filters, topics)
def test_what_an_allowed_filter_matches_is_allowed(pattern: str, topic_filter: str, topic: str) -> None:
    if allows((pattern,), topic_filter) and topic_matches_sub(topic_filter, topic):
        assert topic_matches_sub(pattern, topic)


@given(patterns, topics)
def test_a_topic_is_allowed_exactly_if_the_pattern_matches_it(pattern: str, topic: str) -> None:
    assert allows((pattern,), topic) == topic_matches_sub(pattern, topic)


@given(patterns)
def test_a_pattern_allows_itself(pattern: str) -> None:
    assert allows((pattern,), pattern)


@given(st.text())
def test_nobody_but_whom_the_table_names_is_let_in(text: str) -> None:
    assert (grants_of(text, TABLE, TOPICS) is not None) == (text in {A, B, "coordinator", "viewer:v"})


@pytest.mark.parametrize("principal", EVERYBODY)
@pytest.mark.parametrize(
    "text", ["#", "+", "+/#", "edge/#", "edge/+/live/#", "$SYS/#", "$share/g/edge/v1/live/#", "", "/"]
)
def test_nobody_has_a_filter_that_reaches_beyond_the_prefix(principal: str, text: str) -> None:
    grants = grants_of(principal, TABLE, TOPICS)
    assert grants is None or not allows(grants.read, text)


def test_overlong_topics_and_nul_match_no_rule() -> None:
    assert not allows(("a/#",), "a/" + "x" * 512)
    assert not allows(("a/#",), "a/\0")
    assert not allows(("a/+",), "a/")


def test_what_a_node_sends_and_reads_has_no_overlap_with_another_node() -> None:
    one, other = grants_of(A, TABLE, TOPICS), grants_of(B, TABLE, TOPICS)
    assert one is not None
    assert other is not None
    assert not any(allows(other.publish + other.read, topic) for topic in one.publish + one.read)


def test_every_kind_of_control_topic_is_sent_or_read_by_its_node_and_by_no_viewer() -> None:
    node, viewer = grants_of(A, TABLE, TOPICS), grants_of("viewer:v", TABLE, TOPICS)
    assert node is not None
    assert viewer is not None
    for kind in Kind:
        topic = TOPICS.of_node(A, kind, "x" if kind in {Kind.ALERTS, Kind.COMMANDS, Kind.REPLIES} else None)
        assert allows(node.publish, topic) != allows(node.read, topic)
        assert not allows(viewer.read + viewer.publish, topic)


def test_the_table_leaves_out_the_revoked_and_those_without_business() -> None:
    certificates = [A, "viewer:v", "viewer:w", "publisher:p", "coordinator", "nonsense"]
    table = access_table(TABLE.places, certificates, {B, "viewer:w"})
    assert set(table.places) == {A}
    assert table.readers == {"viewer:v"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_people_read_live_topics_and_publish_nothing(role: Role) -> None:
    table = AccessTable(readers=frozenset({f"{role}:x"}))
    grants = grants_of(f"{role}:x", table, TOPICS)
    assert grants is not None
    assert grants.publish == ()
    assert allows(grants.read, "edge/v1/live/#")


def test_control_topics_cannot_lie_where_everybody_reads() -> None:
    with pytest.raises(ContractError, match="choose another"):
        checked_prefix("homeassistant/edge")
