"""What is read of a message, and what becomes of what is no result."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.results.records import MAX_SEQ, REJECTED, Kind, Unreadable, read_message
from protos.identity import NodeId
from tests.durable.node import NODE
from tests.unit.results.arrivals import STREAM, message, result, tombstone


def changed(number: int, **data: object) -> bytes:
    event = json.loads(result(number))
    event["data"].update(data)
    return json.dumps(event).encode()


def test_a_results_columns_are_read_and_its_bytes_are_kept() -> None:
    (arrival,) = read_message(message(result(7)), NODE)
    assert (arrival.kind, arrival.stream, arrival.first, arrival.seq) == (Kind.RESULT, STREAM, 7, 7)
    assert (arrival.site, arrival.name, arrival.pipeline) == ("store-12", "cam-3", "shelf")
    assert (arrival.model, arrival.version, arrival.node) == ("mobilenet-v2", 3, NODE)
    assert json.loads(arrival.event)["id"] == f"{STREAM}/7"


def test_a_tombstone_is_a_hole_with_its_reason() -> None:
    (arrival,) = read_message(message(tombstone(3, 9)), NODE)
    assert (arrival.kind, arrival.first, arrival.seq, arrival.reason) == (Kind.HOLE, 3, 9, "outbox_full")


@pytest.mark.parametrize(
    "event",
    [
        changed(4, version="three"),
        changed(4, site="a/b"),
        changed(4, model="m\0"),
        result(4).replace(b'"time":"', b'"time":"noon '),
        result(4).replace(b"/4", b"/5"),
        tombstone(9, 4),
        tombstone(4, 4, reason="\x1b[2J"),
        b'{"data":{"node":"%s","stream":"%s","seq":4}}' % (NODE.encode(), STREAM.encode()),
    ],
    ids=["version", "site", "nul", "time", "id", "backwards", "escape", "bare"],
)
def test_what_is_no_result_but_has_a_number_takes_its_number_and_the_stream_goes_on(event: bytes) -> None:
    before, rejected, behind = read_message(message(result(3), event, result(5)), NODE)
    assert (before.seq, behind.seq) == (3, 5)
    assert (rejected.kind, rejected.first, rejected.seq, rejected.reason) == (Kind.HOLE, 4, 4, REJECTED)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        result(1),
        b"[" * 100_000,
        message(changed(1, seq=0)),
        message(changed(1, seq=MAX_SEQ + 1)),
        message(changed(1, stream="../../etc")),
        message(changed(1, node="b" * 32)),
        message(tombstone(1, 2, node=NodeId("b" * 32))),
    ],
    ids=["empty", "object", "numbers", "not text", "no array", "deep", "zero", "huge", "stream", "node", "tombstone"],
)
def test_a_message_that_no_stream_answers_for_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        read_message(payload, NODE)


documents = st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda found: json.dumps(found).encode())


@given(st.binary(max_size=400) | documents)
def test_no_payload_is_worse_than_unreadable(payload: bytes) -> None:
    with suppress(Unreadable):
        read_message(payload, NODE)
