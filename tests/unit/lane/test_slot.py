"""How asks and answers lie in a slot; what a worker may say of its answer, whatever it writes."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.lane.messages import Answer, Ask, Hello, Port, Sequence, Tensor
from edge_node.lane.slot import (
    ALIGNMENT,
    HEAD_RESERVE,
    PAGE,
    REASON_CHARACTERS,
    Cut,
    DoesNotFit,
    WrongAnswer,
    cut_for,
    elements,
    end_of,
    head_bytes,
    places,
    read_answer,
    read_ask,
    write,
)

PORTS = {"y": Port("y", "FP32", (-1, 2)), "t": Port("t", "BYTES", (-1,))}
CUT = Cut(1024, 4096)

names = st.text(max_size=40)
sizes = st.integers(0, 2**40)
tensors = st.builds(
    Tensor, names, st.sampled_from(["FP32", "BYTES"]), st.lists(sizes, max_size=6).map(tuple), sizes, sizes
)
asks = st.builds(
    Ask,
    st.lists(tensors, max_size=4).map(tuple),
    st.lists(names, max_size=4).map(tuple),
    st.integers(0, 2**62),
    st.none() | st.builds(Sequence, st.integers(0, 2**64 - 1) | names, st.booleans(), st.booleans()),
)


def _hello(*inputs: Port, outputs: tuple[Port, ...] = (), max_batch: int = 0) -> Hello:
    return Hello("s", inputs, outputs, "stub", "cpu", max_batch=max_batch)


@given(asks)
def test_an_ask_comes_back_as_it_was_written(ask: Ask) -> None:
    slot = memoryview(bytearray(8192))
    write(slot, 8192, ask)
    assert read_ask(slot) == ask


@given(st.lists(st.integers(0, 5000)), st.integers(0, 1000))
def test_tensors_lie_aligned_behind_one_another(wanted: list[int], start: int) -> None:
    offsets = places(wanted, start, 10**9)
    assert all(offset % ALIGNMENT == 0 and offset >= start for offset in offsets)
    ends = [offset + size for offset, size in zip(offsets, wanted, strict=True)]
    assert all(end <= offset for end, offset in zip(ends, offsets[1:], strict=False))
    last = max(ends, default=start)
    assert places(wanted, start, last) == offsets
    if wanted:
        with pytest.raises(DoesNotFit):
            places(wanted, start, last - 1)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=4), st.lists(st.integers(1, 300), max_size=4))
def test_a_slot_holds_the_largest_ask_with_its_answer(inputs: list[int], outputs: list[int]) -> None:
    hello = _hello(
        *(Port(str(size), "FP64", (-1, size)) for size in inputs),
        outputs=tuple(Port(str(size), "FP16", (-1, size)) for size in outputs),
        max_batch=4,
    )
    cut = cut_for(hello, 0)
    given_places = places([4 * 8 * size for size in inputs], cut.head_bytes, cut.slot_bytes)
    taken = tuple(Tensor("x", "FP64", (), place, 32 * size) for place, size in zip(given_places, inputs, strict=True))
    places([4 * 2 * size for size in outputs], end_of(taken, 0), cut.slot_bytes)
    assert cut.slot_bytes % PAGE == 0
    assert cut.slot_bytes <= PAGE + cut.head_bytes + sum(32 * size + 64 for size in inputs) + sum(
        8 * size + 64 for size in outputs
    )


def test_what_has_open_axes_or_texts_takes_what_it_is_permitted() -> None:
    fixed = _hello(Port("x", "FP32", (1, 4)))
    assert cut_for(fixed, 10**6).slot_bytes == PAGE
    for port in (Port("x", "FP32", (1, -1)), Port("x", "BYTES", (1,)), Port("x", "FP32", (-1, 4))):
        assert 10**6 < cut_for(_hello(port), 10**6).slot_bytes < 10**6 + 2 * PAGE
        assert 2 * 10**6 < cut_for(_hello(port, outputs=(port,)), 10**6).slot_bytes < 2 * 10**6 + 2 * PAGE


@given(st.lists(st.tuples(names, st.integers(0, 32)), max_size=6, unique_by=lambda port: port[0]))
def test_every_head_fits_in_front_of_the_tensors(ends: list[tuple[str, int]]) -> None:
    ports = tuple(Port(name, "UINT64", (-1,) * rank) for name, rank in ends)
    room = head_bytes(_hello(*ports, outputs=ports))
    big = 2**62
    tensors = tuple(Tensor(port.name, "UINT64", (big,) * len(port.shape), big, big) for port in ports)
    slot = memoryview(bytearray(room))
    write(slot, room, Ask(tensors, tuple(port.name for port in ports), big, Sequence("\U0001f600" * 256, True, True)))
    write(slot, room, Answer(tensors, "failed", "\U0001f600" * REASON_CHARACTERS, big, big, big, big))
    with pytest.raises(DoesNotFit):
        write(slot, room, Answer((), "failed", "r" * (room + HEAD_RESERVE)))


def _answered(*given: Tensor, content: bytes = b"") -> memoryview:
    slot = memoryview(bytearray(CUT.slot_bytes))
    write(slot, CUT.head_bytes, Answer(given))
    slot[1024 : 1024 + len(content)] = content
    return slot


Y = Tensor("y", "FP32", (3, 2), 1024, 24)
T = Tensor("t", "BYTES", (2,), 1088, 8)


def test_an_answer_with_what_was_wanted_is_believed() -> None:
    assert read_answer(_answered(Y, T), CUT, PORTS, ()).tensors == (Y, T)
    assert read_answer(_answered(Y), CUT, PORTS, ("y",)).tensors == (Y,)
    slot = _answered()
    write(slot, CUT.head_bytes, Answer((), "invalid", "no"))
    assert read_answer(slot, CUT, PORTS, ()).reason == "no"


def _but(tensor: Tensor, **changed: object) -> Tensor:
    return msgspec.structs.replace(tensor, **changed)


@pytest.mark.parametrize(
    "given",
    [
        (Y,),
        (),
        (Y, Y, T),
        (_but(Y, name="z"), T),
        (_but(Y, datatype="FP64"), T),
        (_but(Y, datatype="none"), T),
        (_but(Y, shape=(6,)), T),
        (_but(Y, shape=(-3, -2)), T),
        (_but(Y, shape=(3, 3)), T),
        (_but(Y, shape=(2**40, 2**40)), T),
        (_but(Y, offset=0), T),
        (_but(Y, offset=-64), T),
        (_but(Y, offset=4096 - 23), T),
        (_but(Y, offset=2**62), T),
        (_but(Y, size=-24), T),
        (_but(Y, size=2**62), T),
        (Y, _but(T, shape=(3,))),
        (Y, _but(T, size=7)),
        (Y, _but(T, size=4096)),
    ],
)
def test_an_answer_about_anything_else_is_refused(given: tuple[Tensor, ...]) -> None:
    with pytest.raises(WrongAnswer):
        read_answer(_answered(*given), CUT, PORTS, ())


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_whatever_a_worker_writes_is_an_answer_within_its_slot_or_refused(written: bytes, length: int) -> None:
    for size in (length, len(written)):
        slot = memoryview(bytearray(CUT.slot_bytes))
        slot[: 4 + len(written)] = struct.pack("=I", size) + written
        try:
            answer = read_answer(slot, CUT, PORTS, ())
        except WrongAnswer:
            continue
        assert answer.failure or {tensor.name for tensor in answer.tensors} == PORTS.keys()


@given(st.lists(tensors, max_size=3).map(tuple))
def test_no_answer_s_tensor_reaches_beyond_its_slot(given: tuple[Tensor, ...]) -> None:
    ports = {tensor.name: Port(tensor.name, tensor.datatype, tensor.shape) for tensor in given}
    slot = memoryview(bytearray(CUT.slot_bytes))
    write(slot, CUT.slot_bytes, Answer(given))
    try:
        answer = read_answer(slot, Cut(1024, CUT.slot_bytes), ports, ())
    except WrongAnswer:
        return
    for tensor in answer.tensors:
        assert len(slot[tensor.offset : tensor.offset + tensor.size]) == tensor.size


@given(st.lists(st.binary(max_size=20)))
def test_elements_of_bytes_are_counted_and_a_cut_one_is_not(texts: list[bytes]) -> None:
    content = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    assert elements(memoryview(content)) == len(texts)
    if content:
        assert elements(memoryview(content)[:-1]) is None
