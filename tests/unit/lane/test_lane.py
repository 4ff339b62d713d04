"""A lane between its two ends, without an engine."""

import select
import socket
import struct
from collections.abc import Iterator

import msgspec
import pytest

from edge_node.errors import Unreachable
from edge_node.lane.greeting import HELLO_BYTES, Greeting, LaneRefused, parts_of
from edge_node.lane.messages import Ask, Hello, Port, Tensor
from edge_node.lane.serving_end import KEPT_OPEN_BYTES, LaneOver, ServingEnd
from edge_node.lane.slot import WrongAnswer
from edge_node.lane.worker_end import open_lane
from tests.unit.lane.echo import HELLO, echoing


@pytest.fixture
def lane() -> Iterator[ServingEnd]:
    with echoing() as lane:
        yield lane


def _ask(lane: ServingEnd, content: bytes) -> int:
    number = lane.take()
    assert number is not None
    offset = lane.cut.head_bytes
    lane.slot(number)[offset : offset + len(content)] = content
    lane.ask(number, Ask((Tensor("x", "UINT8", (len(content) // 4, 4), offset, len(content)),)))
    return number


def _wait(lane: ServingEnd) -> tuple[int, ...]:
    assert select.select([lane], [], [], 5)[0]
    return lane.receive()


def test_a_batch_comes_back_as_one_packet_with_each_slot_s_own_answer(lane: ServingEnd) -> None:
    batch = [_ask(lane, bytes([value] * 8)) for value in (1, 2, 3)]
    lane.send(batch)
    assert _wait(lane) == tuple(batch)
    for number, value in zip(batch, (1, 2, 3), strict=True):
        (y,) = lane.answer(number).tensors
        assert y.shape == (2, 4)
        assert bytes(lane.slot(number)[y.offset : y.offset + y.size]) == bytes([value] * 8)
    assert lane.receive() == ()


def test_a_slot_that_is_released_is_the_next_to_be_taken(lane: ServingEnd) -> None:
    taken = [lane.take() for _ in range(4)]
    assert lane.take() is None
    lane.release(2)
    assert (lane.take(), lane.free) == (2, 0)
    assert sorted(number for number in taken if number is not None) == [0, 1, 2, 3]


def test_what_a_slot_held_is_given_back_once_it_is_idle(lane: ServingEnd) -> None:
    number = _ask(lane, b"abcd")
    held = _ask(lane, b"kept")
    lane.release(number)
    lane.trim()
    assert bytes(lane.slot(number)[lane.cut.head_bytes :][:4]) == b"abcd", "it was in use a moment ago"
    lane.trim()
    assert bytes(lane.slot(number)[lane.cut.head_bytes :][:4]) == bytes(4)
    assert bytes(lane.slot(held)[lane.cut.head_bytes :][:4]) == b"kept", "not in use does not mean not answered"


def test_a_slot_gives_back_at_once_what_open_axes_took_beyond_the_usual() -> None:
    hello = msgspec.structs.replace(HELLO, inputs=(Port("x", "UINT8", (-1, -1)),), max_batch=0)
    with echoing(hello, open_bytes=4 * KEPT_OPEN_BYTES) as lane:
        for size, kept in ((KEPT_OPEN_BYTES, True), (3 * KEPT_OPEN_BYTES, False)):
            number = _ask(lane, b"full" * (size // 4))
            lane.release(number)
            assert (bytes(lane.slot(number)[lane.cut.head_bytes :][:4]) == b"full") is kept


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_a_worker_that_goes_away_is_noticed_and_what_it_had_is_known() -> None:
    ours, theirs = _pair()
    lane = ServingEnd(ours, HELLO, 2, 0)
    number = _ask(lane, b"abcd")
    lane.send([number])
    theirs.close()
    with pytest.raises(LaneOver):
        _wait(lane)
    assert lane.with_worker == {number}
    with pytest.raises(LaneOver):
        lane.send([1])
    lane.close()


@pytest.mark.parametrize("packet", [struct.pack("=I", 1), struct.pack("=I", 99), struct.pack("=II", 0, 0), b"abc"])
def test_slots_that_the_worker_does_not_have_cannot_come_back(packet: bytes) -> None:
    ours, theirs = _pair()
    with theirs:
        lane = ServingEnd(ours, HELLO, 2, 0)
        lane.send([_ask(lane, b"abcd")])
        theirs.send(packet)
        with pytest.raises(LaneOver, match="did not have"):
            _wait(lane)
        lane.close()


def test_a_slot_that_the_worker_left_as_it_was_is_no_answer() -> None:
    ours, theirs = _pair()
    with theirs:
        lane = ServingEnd(ours, HELLO, 2, 0)
        number = _ask(lane, b"abcd")
        lane.send([number])
        theirs.recv(100)  # the grant
        theirs.send(theirs.recv(100))
        assert _wait(lane) == (number,)
        with pytest.raises(WrongAnswer):
            lane.answer(number)
        lane.close()


def test_a_hello_longer_than_a_packet_arrives_whole() -> None:
    hello = msgspec.structs.replace(HELLO, labels=tuple(f"label number {number}" for number in range(60_000)))
    greeting = Greeting()
    parts = list(parts_of(hello))
    assert len(parts) > 10
    assert [greeting.take(part) for part in parts] == [None] * (len(parts) - 1) + [hello]


def _said(hello: Hello) -> bytes:
    return b"".join(parts_of(hello))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        struct.pack("=I", HELLO_BYTES + 1),
        struct.pack("=I", 3) + b"more",
        struct.pack("=I", 4) + b"\xc1abc",
        _said(msgspec.structs.replace(HELLO, instances=0)),
        _said(msgspec.structs.replace(HELLO, max_batch=10**9)),
        _said(msgspec.structs.replace(HELLO, inputs=HELLO.inputs * 2)),
        _said(msgspec.structs.replace(HELLO, inputs=(Port("x", "FP13", (1,)),))),
        _said(msgspec.structs.replace(HELLO, inputs=(Port("x", "FP32", (2**62,)),))),
        _said(msgspec.structs.replace(HELLO, outputs=(Port("x", "FP32", (-2,)),))),
    ],
)
def test_a_hello_that_cannot_be_is_refused(said: bytes) -> None:
    with pytest.raises(LaneRefused):
        Greeting().take(said)


def test_a_worker_that_is_not_granted_a_lane_says_so() -> None:
    ours, theirs = _pair()
    ours.close()
    with pytest.raises(Unreachable, match="grants no lane to session s"):
        open_lane(theirs, HELLO)
