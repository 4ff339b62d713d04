"""The gate: what it stops is counted by reason and logged once, and the node's configuration only takes away."""

import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge_node.config import EgressLimits
from edge_node.link.budget import BURST_S, Budget
from edge_node.link.gate import Gate
from edge_node.telemetry.traffic import Totals
from protos.deployment import Egress
from protos.identity import NodeId
from protos.packing import unpacked
from protos.reported import Status
from protos.topics import Kind, Topics
from tests.unit.protos.test_egress import NODE, RESULT, tensor_event

TOPICS = Topics()
LIVE = TOPICS.live("store-12", "cam-3", "shelf")
STATUS = TOPICS.of_node(NODE, Kind.STATUS)
ONLINE = msgspec.json.encode(Status("online", "c1"))
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000)


def test_a_refusal_is_counted_by_reason_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate(TOPICS)
    with caplog.at_level(logging.ERROR):
        assert not any(gate.may_leave(LIVE, JPEG) for _ in range(3))
        assert not gate.may_leave("camera/raw", b"x")
    assert gate.traffic.refusals == {"not_allowed": 3, "unknown_topic": 1}
    assert len(caplog.records) == 2
    assert "\xff" not in caplog.text


def test_what_left_is_counted_by_kind() -> None:
    gate = Gate(TOPICS)
    for topic, payload in ((LIVE, RESULT), (LIVE, RESULT), (STATUS, ONLINE)):
        assert gate.may_leave(topic, payload)
        gate.left(topic, len(payload))
    assert gate.traffic.out == {"live": 2 * len(RESULT), "status": len(ONLINE)}
    assert gate.traffic.refusals == {}


def test_the_configuration_keeps_live_results_and_metrics_here() -> None:
    gate = Gate(TOPICS, EgressLimits(live=False, metrics=False))
    for topic in (LIVE, LIVE + "/count", TOPICS.availability("s", "n"), TOPICS.of_node(NODE, Kind.METRICS)):
        refusal = gate.refusal(topic, RESULT)
        assert refusal is not None
        assert refusal.reason == "switched_off"
    assert gate.may_leave(STATUS, ONLINE)


@given(declared=some.none() | some.integers(1, 65536), most=some.none() | some.integers(0, 65536))
def test_the_configuration_never_lets_more_tensors_leave_than_the_deployment_declares(
    declared: int | None, most: int | None
) -> None:
    gate = Gate(TOPICS, EgressLimits(tensor_bytes=most), declared=lambda _: Egress(tensor=declared))
    open_gate = Gate(TOPICS, declared=lambda _: Egress(tensor=declared))
    event = tensor_event(8)
    if gate.refusal(LIVE, event) is None:
        assert open_gate.refusal(LIVE, event) is None
        assert most is None or most > 0


def test_over_the_budget_results_wait_and_presence_leaves() -> None:
    now = 0.0
    gate = Gate(TOPICS, EgressLimits(max_kbit_s=1.0), clock=lambda: now)
    sent = 0
    while gate.may_leave(LIVE, RESULT):
        gate.left(LIVE, len(RESULT))
        sent += len(RESULT)
    assert sent <= 125 * BURST_S + len(RESULT)
    assert gate.may_leave(STATUS, ONLINE)
    assert gate.traffic.refusals == {}
    now = 10.0
    assert gate.may_leave(LIVE, RESULT)


@given(
    rate=some.floats(0.1, 1000),
    steps=some.lists(some.tuples(some.floats(0, 20), some.integers(0, 100_000)), max_size=50),
)
def test_on_average_no_more_leaves_than_the_budget(rate: float, steps: list[tuple[float, int]]) -> None:
    budget, now, left, last = Budget(rate, 0.0), 0.0, 0, 0
    for pause, size in steps:
        now += pause
        if budget.may_leave(now):
            budget.take(size)
            left, last = left + size, size
    assert left - last <= rate * 125 * (now + BURST_S) * 1.001


def test_without_a_budget_everything_may_leave_at_once() -> None:
    budget = Budget(None, 0.0)
    budget.take(10**12)
    assert budget.may_leave(0.0)


def test_totals_go_on_where_a_counter_begins_again() -> None:
    totals = Totals()
    assert totals.see({"a": 5, "b": 1}) == {"a": 5, "b": 1}
    assert totals.see({"a": 2}) == {"a": 7, "b": 1}
    assert totals.see({"a": 3, "b": 4}) == {"a": 8, "b": 4}
    assert totals.see({}) == {"a": 8, "b": 4}


def test_a_topic_of_another_prefix_is_no_way_out() -> None:
    other = Topics("other/prefix").of_node(NodeId("b" * 32), Kind.STATUS)
    refusal = Gate(TOPICS).refusal(other, ONLINE)
    assert refusal is not None
    assert refusal.reason == "unknown_topic"


def test_durable_messages_travel_packed_and_live_ones_as_they_are() -> None:
    now = 0.0
    gate, durable = Gate(TOPICS, clock=lambda: now), TOPICS.of_node(NODE, Kind.DURABLE)
    message = b"[" + RESULT + b"]"
    assert unpacked(gate.packed(durable, message)) == message
    assert len(gate.packed(LIVE, RESULT)) == len(RESULT)
    assert gate.packed(durable, message) == message, "so soon after another the processor is spared"
    batch = b"[" + b",".join([RESULT] * 20) + b"]"
    assert len(gate.packed(durable, batch)) < len(batch) / 10
    now = 1.0
    assert gate.packed(durable, message) != message
