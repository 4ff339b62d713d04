"""Who gets a message, checked against the plainest reading of the rules; and what a subscriber is sent next."""

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from coordinator.link.access import AccessTable
from coordinator.link.embedded.hub import MAX_CONNECTIONS_EACH, MAX_RETAINED_EACH, Hub
from coordinator.link.embedded.outgoing import OVERHEAD, Outgoing
from coordinator.link.embedded.packets import Publish
from coordinator.link.embedded.routing import Subscriptions, matches
from protos.topics import Topics

levels = st.sampled_from(["a", "b", "", "$c"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = (
    st.tuples(st.lists(levels | st.just("+"), max_size=3), st.booleans())
    .map(lambda parts: "/".join([*parts[0], *(["#"] if parts[1] or not parts[0] else [])]))
    .filter(bool)
)


@given(filters, topics)
def test_matching_agrees_with_paho(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic) == topic_matches_sub(topic_filter, topic)


@given(st.lists(st.tuples(filters, st.integers(0, 3), st.integers(0, 1), st.booleans()), max_size=20), topics)
def test_the_tree_agrees_with_a_list(steps: list[tuple[str, int, int, bool]], topic: str) -> None:
    tree, plain = Subscriptions[int](), dict[tuple[str, int], int]()
    for topic_filter, subscriber, qos, add in steps:
        if add:
            tree.add(topic_filter, subscriber, qos)
            plain[topic_filter, subscriber] = qos
        else:
            tree.remove(topic_filter, subscriber)
            plain.pop((topic_filter, subscriber), None)
    expected: dict[int, int] = {}
    for (topic_filter, subscriber), qos in plain.items():
        if topic_matches_sub(topic_filter, topic):
            expected[subscriber] = max(qos, expected.get(subscriber, 0))
    assert tree.of(topic) == expected


def test_an_emptied_tree_keeps_no_branches() -> None:
    tree = Subscriptions[int]()
    tree.add("a/b/c", 1, 0)
    tree.add("a/b", 1, 0)
    tree.remove("a/b/c", 1)
    assert tree.of("a/b") == {1: 0}
    tree.remove("a/b", 1)
    tree.remove("never/there", 1)
    assert tree._root.below == {}


class Client:
    """A connection that remembers."""

    def __init__(self, client_id: str, principal: str = "coordinator") -> None:
        self.client_id = client_id
        self.principal = principal
        self.delivered: list[Publish] = []
        self.flushes = 0
        self.over = False
        self.changes = 0

    def deliver(self, message: Publish) -> None:
        self.delivered.append(message)

    def flush(self) -> None:
        self.flushes += 1

    def taken_over(self) -> None:
        self.over = True

    def access_changed(self) -> None:
        self.changes += 1

    def abort(self) -> None:
        self.over = True


def new_hub() -> Hub:
    return Hub(AccessTable(), Topics())


def test_overlapping_filters_deliver_once_at_the_highest_quality() -> None:
    hub, client = new_hub(), Client("a")
    hub.subscribe(client, "#", 0)
    hub.subscribe(client, "a/+", 1)
    hub.publish(Publish("a/b", b"x", 2, retain=False), "coordinator")
    hub.flush()
    assert client.delivered == [Publish("a/b", b"x", 1, retain=False)]
    assert client.flushes == 1


def test_an_empty_retained_message_clears_and_is_still_delivered() -> None:
    hub, client = new_hub(), Client("a")
    hub.publish(Publish("a", b"x", 1, retain=True), "coordinator")
    hub.subscribe(client, "a", 1)
    hub.publish(Publish("a", b"", 1, retain=True), "coordinator")
    assert [(message.payload, message.retain) for message in client.delivered] == [(b"x", True), (b"", False)]
    assert hub.retained == {}


def test_a_client_that_was_taken_over_does_not_remove_its_successor() -> None:
    hub, older, newer = new_hub(), Client("same"), Client("same")
    hub.join(older)
    hub.join(newer)
    hub.leave(older, set())
    assert older.over
    assert hub.sessions == {("coordinator", "same"): newer}


def test_the_same_client_id_of_two_principals_is_two_sessions() -> None:
    hub, one, other = new_hub(), Client("same", "viewer:a"), Client("same", "viewer:b")
    hub.join(one)
    hub.join(other)
    assert not one.over


def test_a_principal_fills_its_own_share_of_retained_messages_and_no_more() -> None:
    hub = new_hub()
    for number in range(MAX_RETAINED_EACH + 10):
        hub.publish(Publish(f"a/{number}", b"x", 1, retain=True), "viewer:greedy")
    assert len(hub.retained) == MAX_RETAINED_EACH
    hub.publish(Publish("b", b"x", 1, retain=True), "viewer:honest")
    hub.publish(Publish("a/0", b"", 1, retain=True), "viewer:greedy")
    hub.publish(Publish("c", b"x", 1, retain=True), "viewer:greedy")
    assert {"b", "c"} <= set(hub.retained)


def test_a_principal_has_so_many_connections_until_one_ends() -> None:
    hub, many = new_hub(), [Client(str(number), "viewer:a") for number in range(MAX_CONNECTIONS_EACH + 1)]
    assert [hub.enter(client) for client in many] == [True] * MAX_CONNECTIONS_EACH + [False]
    hub.exit(many[-1])
    assert not hub.enter(many[-1])
    hub.exit(many[0])
    assert hub.enter(many[-1])


def test_other_rules_reach_every_connection() -> None:
    hub, client = new_hub(), Client("a", "viewer:a")
    assert hub.enter(client)
    hub.set_access(AccessTable(readers=frozenset({"viewer:a"})))
    assert client.changes == 1
    assert hub.grants_of("viewer:a") is not None


def message(number: int, size: int = 0) -> Publish:
    return Publish("t", bytes(size) or b"%d" % number, 1, retain=False)


def test_at_most_so_many_are_unacknowledged() -> None:
    outgoing = Outgoing(max_unacknowledged=2)
    for number in range(3):
        outgoing.put(message(number))
    first, second = outgoing.take(), outgoing.take()
    assert first is not None
    assert second is not None
    assert outgoing.take() is None
    outgoing.acknowledged(second.packet_id)
    third = outgoing.take()
    assert third is not None
    assert third.payload == b"2"
    assert third.packet_id not in {0, first.packet_id}


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    outgoing = Outgoing(max_waiting_bytes=2 * (100 + OVERHEAD))
    for number in range(5):
        outgoing.put(message(number, 100))
    assert outgoing.dropped == 3
    assert outgoing.take() is not None
    outgoing.put(message(5, 100))
    assert outgoing.dropped == 3


@given(st.lists(st.integers(0, 3), max_size=200))
def test_order_is_kept_and_ids_are_never_used_twice_at_once(steps: list[int]) -> None:
    outgoing, put, under_way, taken = Outgoing(max_unacknowledged=3), 0, list[int](), list[bytes]()
    for step in steps:
        if step <= 1:
            outgoing.put(message(put))
            put += 1
        elif step == 2 and (sent := outgoing.take()) is not None:
            assert 1 <= sent.packet_id <= 0xFFFF
            assert sent.packet_id not in under_way
            under_way.append(sent.packet_id)
            taken.append(sent.payload)
        elif step == 3 and under_way:
            outgoing.acknowledged(under_way.pop(0))
        assert len(under_way) <= 3
    assert taken == [b"%d" % number for number in range(len(taken))]


def test_packet_ids_begin_again_after_the_last() -> None:
    outgoing = Outgoing()
    ids = []
    for number in range(70_000):
        outgoing.put(message(number))
        sent = outgoing.take()
        assert sent is not None
        outgoing.acknowledged(sent.packet_id)
        ids.append(sent.packet_id)
    assert max(ids) == 0xFFFF
    assert ids[0xFFFF] == 1
