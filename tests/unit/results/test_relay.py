"""The relay of live results: fresh ones of nodes that leave it to the coordinator, once, and not too many."""

from collections.abc import Callable

import msgspec
import pytest

from coordinator.errors import Unreachable
from coordinator.results.live_places import REMEMBERED_S, LivePlace, LivePlaces
from coordinator.results.pace import Pace
from coordinator.results.records import Arrival, read_message
from coordinator.results.relay import ALL_A_SECOND, NODE_A_SECOND, Relay
from edge_node.outbox.events import marked_late
from protos.identity import NodeId
from protos.topics import Topics
from tests.durable.node import NODE
from tests.unit.results.arrivals import message, result

PLACE = LivePlace("store-12", "till-1", {"shelf": 1})


class World:
    """A broker that takes everything or nothing, places, and a clock."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes, int, bool]] = []
        self.connected = True
        self.now = 0.0
        self.place_of: Callable[[NodeId], LivePlace | None] = lambda _: PLACE
        self.relay = Relay(self.publish, Topics(), self.look, lambda: self.now)

    def look(self, node: NodeId) -> LivePlace | None:
        return self.place_of(node)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        if self.connected:
            self.taken.append((topic, payload, qos, retain))
        return self.connected


@pytest.fixture
def world() -> World:
    return World()


def arrivals(*events: bytes, node: NodeId = NODE) -> list[Arrival]:
    read = read_message(message(*events), NODE)
    return [msgspec.structs.replace(arrival, node=node) for arrival in read]


def test_a_result_is_published_as_it_came_where_the_node_is_called_today(world: World) -> None:
    """Given an event that says another name, when it is relayed, then in the place that the database has."""
    world.relay(arrivals(result(1)))
    assert world.taken == [("edge/v1/live/store-12/till-1/shelf", result(1), 1, False)]
    assert world.relay.counts == {"relayed": 1}


def test_what_is_late_is_no_news(world: World) -> None:
    world.relay(arrivals(marked_late(result(1)), result(2)))
    assert [payload for _, payload, *_ in world.taken] == [result(2)]
    assert world.relay.counts == {"relayed": 1}


@pytest.mark.parametrize("place", [None, LivePlace("store-12", "cam-3", {}), LivePlace("s", "n", {"other": 0})])
def test_of_a_node_that_publishes_itself_or_a_pipeline_that_is_not_wanted_live_nothing_is_relayed(
    world: World, place: LivePlace | None
) -> None:
    world.place_of = lambda _: place
    world.relay(arrivals(result(1)))
    assert (world.taken, world.relay.counts) == ([], {})


def test_what_the_broker_does_not_take_is_counted_and_never_tried_again(world: World) -> None:
    world.connected = False
    world.relay(arrivals(result(1)))
    world.connected = True
    world.relay(arrivals(result(2)))
    assert [payload for _, payload, *_ in world.taken] == [result(2)]
    assert world.relay.counts == {"relayed": 1, "dropped": 1}


def test_a_database_that_does_not_answer_costs_live_results_only(world: World) -> None:
    def unreachable(_: NodeId) -> LivePlace | None:
        raise Unreachable("the database does not answer")

    world.place_of = unreachable
    world.relay(arrivals(result(1)))
    assert world.taken == []


def test_a_node_that_gives_hundreds_a_second_does_not_have_them_all_relayed(world: World) -> None:
    flood = arrivals(result(1)) * 1_000
    world.relay(flood)
    assert world.relay.counts == {"relayed": NODE_A_SECOND, "dropped": 1_000 - NODE_A_SECOND}
    world.relay(arrivals(result(2), node=NodeId("b" * 32)))
    assert world.taken[-1][1] == result(2), "another node is not kept waiting"
    world.now = 0.5
    world.relay(flood)
    assert world.relay.counts["relayed"] == NODE_A_SECOND * 1.5 + 1


def test_nor_do_all_nodes_together_take_more_than_their_bound(world: World) -> None:
    for number in range(30):
        world.relay(arrivals(result(1), node=NodeId(f"{number:032x}")) * 100)
    assert world.relay.counts["relayed"] == ALL_A_SECOND


def test_a_pace_gives_what_has_gathered_and_no_more() -> None:
    pace = Pace(a_second=10, at_once=2, now=0.0)
    assert [pace.take(0.0) for _ in range(3)] == [True, True, False]
    assert [pace.take(0.1) for _ in range(2)] == [True, False]
    assert [pace.take(100.0) for _ in range(3)] == [True, True, False]


class Tables:
    """What the database says, and how often it was asked."""

    def __init__(self) -> None:
        self.place: LivePlace | None = None
        self.asked = 0
        self.now = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def look(self, _node: NodeId) -> LivePlace | None:
        self.asked += 1
        place = self.place
        self.meanwhile()
        return place


def test_places_are_remembered_until_something_changes_or_some_time_has_passed() -> None:
    tables = Tables()
    places = LivePlaces(tables.look, lambda: tables.now)
    assert [places.of(NODE) for _ in range(3)] == [None] * 3
    tables.place = PLACE
    assert (places.of(NODE), tables.asked) == (None, 1)
    places.forget()
    assert (places.of(NODE), tables.asked) == (PLACE, 2)
    tables.place = None
    tables.now = REMEMBERED_S + 1
    assert (places.of(NODE), tables.asked) == (None, 3)


def test_what_changes_while_it_is_read_is_read_again() -> None:
    tables = Tables()
    places = LivePlaces(tables.look, lambda: tables.now)
    tables.meanwhile = places.forget
    assert places.of(NODE) is None
    tables.place, tables.meanwhile = PLACE, lambda: None
    assert places.of(NODE) == PLACE
