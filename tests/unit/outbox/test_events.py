"""The bytes that leave are what the published schema says."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.results.records import read_message
from edge_node.outbox.events import (
    Draft,
    encode_result,
    encode_tombstone,
    is_readable,
    marked_late,
    readdressed,
    rfc3339,
)
from edge_node.pipeline.observation import Observation
from protos.egress import Leaving, check
from protos.egress_fields import MOST_OUTPUTS
from protos.identity import NodeId, StreamId
from protos.result import Anomaly, Classified, Detected, Dropped, LatencyMs, Tensor
from tests.durable.node import CONTEXT, draft

STREAM = StreamId("5" * 32)
SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
OUTPUTS: dict[str, tuple[Any, ...]] = {
    "classification": (Classified(label='"late":false', score=0.9, index=3),),
    "detection": (Detected(label="bolt", score=0.5, box=(0.0, 0.1, 0.9, 1.0)),),
    "anomaly": (Anomaly(score=0.2, threshold=0.1, anomalous=True), Anomaly(score=0.1)),
    "tensor": (Tensor(name="y", shape=(1, 2), values=(0.5, 1.5)),),
}


def schema(name: str) -> dict[str, object]:
    read: dict[str, object] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("task", OUTPUTS)
def test_a_result_of_each_task_follows_its_schema(task: str) -> None:
    seen = Observation("shelf", "s", 1_700_000_000_123_456_789, LatencyMs(0.1, 1.0, 5.0, 0.2), task, OUTPUTS[task])
    event = json.loads(encode_result(Draft(seen, CONTEXT), STREAM, 7))
    jsonschema.validate(event, schema(task))
    assert event["id"] == f"{STREAM}/7"
    assert event["source"] == "edge/v1/live/store-12/cam-3/shelf"
    assert event["time"] == event["data"]["captured_at"] == "2023-11-14T22:13:20.123Z"
    assert "frame" not in event["data"]


@pytest.mark.parametrize("task", OUTPUTS)
def test_another_tasks_schema_refuses_it(task: str) -> None:
    seen = Observation("shelf", "s", 0, LatencyMs(0, 0, 0, 0), task, OUTPUTS[task])
    event = json.loads(encode_result(Draft(seen, CONTEXT), STREAM, 7))
    for other in OUTPUTS.keys() - {task}:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(event, schema(other))


def test_a_tombstone_follows_its_schema() -> None:
    dropped = Dropped(node=NodeId("a" * 32), stream=STREAM, first=3, seq=9, count=7, reason="outbox_full")
    event = json.loads(encode_tombstone(dropped, "edge/v1/nodes/a/durable", 0))
    jsonschema.validate(event, schema("tombstone"))
    assert event["id"] == f"{STREAM}/9"


def test_marking_late_changes_one_word_and_no_label() -> None:
    event = encode_result(draft('"late":false'), STREAM, 1)
    before, after = json.loads(event), json.loads(marked_late(event))
    assert after["data"].pop("late") is True
    assert before["data"].pop("late") is False
    assert before == after


@pytest.mark.parametrize("wall_ns", [-(10**20), 10**21])
def test_a_clock_beyond_the_calendar_reads_as_1970(wall_ns: int) -> None:
    assert rfc3339(wall_ns) == "1970-01-01T00:00:00.000Z"


def test_a_clock_before_1970_is_a_time_like_any_other() -> None:
    assert rfc3339(-1_000_000) == "1969-12-31T23:59:59.999Z"


def test_an_event_is_readable_where_it_says_whose_it_is_and_which() -> None:
    event, node = encode_result(draft("r"), STREAM, 7), CONTEXT.node
    assert is_readable(event, node, STREAM, 7)
    assert not is_readable(event, node, STREAM, 8)
    assert not is_readable(event, node, StreamId("6" * 32), 7)
    assert not is_readable(event, NodeId("b" * 32), STREAM, 7)
    assert not is_readable(event.replace(b'"cam-3"', b'"cam-\xff"'), node, STREAM, 7)


@given(st.integers(0, 400), st.integers(0, 255))
def test_one_changed_byte_is_unreadable_or_an_element_that_takes_its_number(place: int, value: int) -> None:
    event = bytearray(encode_result(draft("r"), STREAM, 7))
    event[place] = value
    if is_readable(bytes(event), CONTEXT.node, STREAM, 7):
        (arrival,) = read_message(b"[" + bytes(event) + b"]", CONTEXT.node)
        assert (arrival.stream, arrival.first, arrival.seq) == (STREAM, 7, 7)


def test_a_result_of_a_former_id_of_this_device_is_sent_as_its_own_and_nothing_else_changes() -> None:
    sly = f'"node":"{CONTEXT.node}"'
    old, new = encode_result(draft(sly), STREAM, 7), NodeId("b" * 32)
    event = readdressed(old, (CONTEXT.node,), new)
    before, after = json.loads(old), json.loads(event)
    assert after["data"].pop("node") == new
    assert before["data"].pop("node") == CONTEXT.node
    assert after == before
    assert readdressed(old, (), new) == old


def test_of_more_outputs_than_may_leave_the_best_do() -> None:
    seen = draft("macaw")
    many = tuple(Classified(f"label-{number}", 0.5, number) for number in range(MOST_OUTPUTS + 50))
    crowded = Draft(msgspec.structs.replace(seen.observation, outputs=many), seen.context)
    event = encode_result(crowded, StreamId("c" * 32), 1)
    assert check(Leaving.LIVE, event) is None
    assert json.loads(event)["data"]["outputs"][-1]["label"] == f"label-{MOST_OUTPUTS - 1}"
