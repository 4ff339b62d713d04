"""Live results: fresh, one per message, never a backlog; states when they change."""

from typing import Any

import pytest

from edge_node.link.live import Live
from edge_node.link.live_state import live_states
from protos import deployment
from protos.result import Anomaly, Classified, Detected
from protos.topics import MAX_PAYLOAD, Topics

MACAW = Classified(label="macaw", score=0.9, index=1)
CAT = Classified(label="cat", score=0.1, index=2)
BOX = (0.0, 0.0, 1.0, 1.0)
STATES = deployment.Live(qos=1, state=("label", "count", "present"))
HEAD = "edge/v1/live/store-12/cam-3"


class Recorder:
    """A sink that remembers, and takes nothing while it is not connected."""

    def __init__(self) -> None:
        self.connected = True
        self.messages: list[tuple[str, bytes, int, bool]] = []

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        if self.connected:
            self.messages.append((topic, payload, qos, retain))
        return self.connected

    def taken(self) -> list[tuple[str, bytes, int, bool]]:
        taken, self.messages = self.messages, []
        return taken


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
def live(sink: Recorder) -> Live:
    return Live(sink, Topics(), "store-12", "cam-3")


def test_a_result_is_one_message_and_not_retained(live: Live, sink: Recorder) -> None:
    live.publish("shelf", deployment.Live(), b"{}", [MACAW], stored=True)
    assert sink.taken() == [(f"{HEAD}/shelf", b"{}", 0, False)]
    assert (live.published, live.dropped) == (1, 0)


def test_a_relayed_result_is_the_coordinators_to_publish_and_its_states_the_nodes(sink: Recorder) -> None:
    live = Live(sink, Topics(), "store-12", "cam-3", relayed=True)
    live.on_connected()
    live.publish("shelf", deployment.Live(state=("label",)), b"1", [MACAW], stored=True)
    live.publish("shelf", deployment.Live(state=("label",)), b"2", [MACAW], stored=True)
    assert sink.taken() == [
        (f"{HEAD}/availability", b"online", 1, True),
        (f"{HEAD}/shelf/label", b"macaw", 1, True),
    ]
    assert (live.published, live.dropped) == (0, 0)


def test_a_result_that_the_outbox_could_not_take_is_published_all_the_same(sink: Recorder) -> None:
    live = Live(sink, Topics(), "store-12", "cam-3", relayed=True)
    live.publish("shelf", deployment.Live(), b"1", [MACAW], stored=False)
    assert sink.taken() == [(f"{HEAD}/shelf", b"1", 0, False)]


def test_states_are_published_only_when_they_change(live: Live, sink: Recorder) -> None:
    live.publish("shelf", STATES, b"1", [MACAW], stored=True)
    assert sink.taken()[1:] == [
        (f"{HEAD}/shelf/label", b"macaw", 1, True),
        (f"{HEAD}/shelf/count", b"1", 1, True),
        (f"{HEAD}/shelf/present", b"true", 1, True),
    ]
    live.publish("shelf", STATES, b"2", [MACAW], stored=True)
    live.publish("shelf", STATES, b"3", [CAT], stored=True)
    assert [topic for topic, *_ in sink.taken()] == [f"{HEAD}/shelf", f"{HEAD}/shelf", f"{HEAD}/shelf/label"]


def test_without_a_connection_results_are_dropped_counted_and_never_replayed(live: Live, sink: Recorder) -> None:
    sink.connected = False
    for number in range(5):
        live.publish("shelf", STATES, b"%d" % number, [MACAW], stored=True)
    sink.connected = True
    live.on_connected()
    assert f"{HEAD}/shelf" not in [topic for topic, *_ in sink.taken()]
    assert (live.published, live.dropped) == (0, 5)


def test_a_state_that_did_not_leave_is_said_with_the_next_result(live: Live, sink: Recorder) -> None:
    sink.connected = False
    live.publish("shelf", deployment.Live(state=("label",)), b"1", [MACAW], stored=True)
    sink.connected = True
    live.publish("shelf", deployment.Live(state=("label",)), b"2", [MACAW], stored=True)
    assert (f"{HEAD}/shelf/label", b"macaw", 1, True) in sink.taken()


def test_after_every_connect_availability_and_states_are_said_again(live: Live, sink: Recorder) -> None:
    live.on_connected()
    live.publish("shelf", deployment.Live(state=("label",)), b"1", [MACAW], stored=True)
    sink.taken()
    live.on_connected()
    assert sorted(sink.taken()) == [
        (f"{HEAD}/availability", b"online", 1, True),
        (f"{HEAD}/shelf/label", b"macaw", 1, True),
    ]


def test_a_disabled_pipeline_is_silent(live: Live, sink: Recorder) -> None:
    live.publish("shelf", deployment.Live(enabled=False, state=("label",)), b"1", [MACAW], stored=True)
    assert sink.taken() == []
    assert live.dropped == 0


def test_a_result_larger_than_a_message_may_be_is_dropped(live: Live, sink: Recorder) -> None:
    live.publish("shelf", deployment.Live(), bytes(MAX_PAYLOAD + 1), [MACAW], stored=True)
    assert sink.taken() == []
    assert live.dropped == 1


def test_a_pipeline_that_is_no_more_leaves_nothing_behind(live: Live, sink: Recorder) -> None:
    live.on_connected()
    live.publish("shelf", STATES, b"1", [MACAW], stored=True)
    live.publish("shelf-2", STATES, b"1", [MACAW], stored=True)
    sink.taken()
    live.clear("shelf")
    assert [(topic, payload) for topic, payload, *_ in sink.taken()] == [
        (f"{HEAD}/shelf/{state}", b"") for state in ("label", "count", "present")
    ]
    live.clear()
    assert len(sink.taken()) == 4


def test_what_could_not_be_deleted_is_deleted_on_the_next_connect(live: Live, sink: Recorder) -> None:
    live.on_connected()
    live.publish("shelf", STATES, b"1", [MACAW], stored=True)
    sink.connected = False
    live.clear("shelf")
    live.call("store-12", "till-1")
    sink.connected = True
    sink.taken()
    live.on_connected()
    said = {topic: payload for topic, payload, *_ in sink.taken()}
    gone = {f"{HEAD}/{rest}": b"" for rest in ("shelf/label", "shelf/count", "shelf/present", "availability")}
    assert said == {**gone, "edge/v1/live/store-12/till-1/availability": b"online"}
    live.on_connected()
    assert [payload for _, payload, *_ in sink.taken()] == [b"online"]


def test_a_name_that_comes_back_is_not_deleted(live: Live, sink: Recorder) -> None:
    live.on_connected()
    sink.connected = False
    live.call("store-12", "till-1")
    live.call("store-12", "cam-3")
    sink.connected = True
    live.on_connected()
    assert sink.taken()[-1] == (f"{HEAD}/availability", b"online", 1, True)
    assert (f"{HEAD}/availability", b"", 1, True) not in sink.taken()


def test_going_offline_is_said(live: Live, sink: Recorder) -> None:
    live.on_connected()
    live.offline()
    assert sink.taken()[-1] == (f"{HEAD}/availability", b"offline", 1, True)


@pytest.mark.parametrize(
    ("outputs", "label", "count", "present"),
    [
        ([], b"none", b"0", b"false"),
        ([CAT, MACAW], b"macaw", b"2", b"true"),
        ([{"label": "cat", "score": 0.5}], b"cat", b"1", b"true"),
        ([Detected("face", 0.8, BOX), Detected("face", 0.9, BOX)], b"face", b"2", b"true"),
        ([Anomaly(10.0)], b"none", b"1", b"true"),
        ([Anomaly(10.0, 12.0, False)], b"none", b"0", b"false"),
        ([Anomaly(13.0, 12.0, True)], b"none", b"1", b"true"),
    ],
)
def test_states(outputs: list[Any], label: bytes, count: bytes, present: bytes) -> None:
    states = live_states(("label", "count", "present"), outputs)
    assert states == {"label": label, "count": count, "present": present}
