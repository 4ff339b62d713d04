"""Requests taken apart, held against protobuf's own reading."""

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from edge_node.serving.rpc.raw_contents import Apart, Malformed, take_apart
from protos.inference import grpc_service_pb2 as oip

TEXT = st.text(max_size=6)
PARAMETER = st.one_of(
    st.builds(oip.InferParameter, bool_param=st.booleans()),
    st.builds(oip.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    st.builds(oip.InferParameter, string_param=TEXT),
)
INPUT = st.builds(
    oip.ModelInferRequest.InferInputTensor,
    name=TEXT,
    datatype=TEXT,
    shape=st.lists(st.integers(-1, 2**40), max_size=4),
    parameters=st.dictionaries(TEXT, PARAMETER, max_size=2),
)
REQUEST = st.builds(
    oip.ModelInferRequest,
    model_name=TEXT,
    id=TEXT,
    parameters=st.dictionaries(TEXT, PARAMETER, max_size=2),
    inputs=st.lists(INPUT, max_size=3),
    raw_input_contents=st.lists(st.binary(max_size=300), max_size=3),
)


def varint(number: int, padding: int = 0) -> bytes:
    """A number as protobuf writes it, with more bytes than it needs if wanted."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F)
    groups += [0] * padding
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


@st.composite
def unknown(draw: st.DrawFn) -> bytes:
    """A field that no request has, or that has another wire type than it should."""
    wire = draw(st.sampled_from([0, 1, 2, 5]))
    number = draw(st.integers(8, 2**29 - 1)) if wire == 2 else draw(st.sampled_from([3, 7, 9, 2**29 - 1]))
    content = {
        0: varint(draw(st.integers(0, 2**64 - 1))),
        1: bytes(8),
        2: b"\x03abc",
        5: bytes(4),
    }[wire]
    return varint(number << 3 | wire, draw(st.integers(0, 1)) if number < 2**20 else 0) + content


def fields_of(message: bytes) -> list[bytes]:
    """The fields of a message that protobuf wrote, each whole."""
    fields, position = [], 0
    while position < len(message):
        size, start = 0, position + 1
        for shift in range(0, 35, 7):
            size |= (message[start] & 0x7F) << shift
            start += 1
            if message[start - 1] < 0x80:
                break
        fields.append(message[position : start + size])
        position = start + size
    return fields


def together(apart: Apart) -> oip.ModelInferRequest:
    """A request from its pieces."""
    request = oip.ModelInferRequest.FromString(apart.head)
    assert not request.raw_input_contents
    assert not request.id
    request.raw_input_contents.extend(bytes(one) for one in apart.raw)
    request.id = apart.id
    return request


@given(REQUEST, st.lists(unknown(), max_size=3), st.randoms(use_true_random=False))
def test_the_pieces_are_what_protobuf_reads_in_any_order_of_fields(
    request_: oip.ModelInferRequest, more: list[bytes], random: Any
) -> None:
    fields = [*fields_of(request_.SerializeToString()), *more]
    random.shuffle(fields)
    message = b"".join(fields)
    expected = oip.ModelInferRequest.FromString(message)
    assert together(take_apart(message)) == expected


@given(st.one_of(st.binary(max_size=60), REQUEST.map(lambda one: one.SerializeToString()[:-1])))
def test_what_protobuf_refuses_is_refused_and_nothing_is_read_otherwise(message: bytes) -> None:
    try:
        mine = together(take_apart(message))
    except (Malformed, DecodeError):
        return
    assert mine == oip.ModelInferRequest.FromString(message)


def test_tensors_are_views_of_the_message() -> None:
    message = oip.ModelInferRequest(model_name="m", raw_input_contents=[b"abcd", b""]).SerializeToString()
    apart = take_apart(message)
    assert [one.obj for one in apart.raw] == [message, message]
    assert [bytes(one) for one in apart.raw] == [b"abcd", b""]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\x3a\x05abcd", id="cut off"),
        pytest.param(b"\x3a", id="no length"),
        pytest.param(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", id="a length without end"),
        pytest.param(b"\x3b\x3c", id="a group"),
        pytest.param(b"\x09abc", id="a number that is cut off"),
        pytest.param(b"\x1a\x01\xff", id="an id that is not UTF-8"),
        pytest.param(b"\xba\x80\x80\x80\x80\x01\x00", id="a tag beyond 32 bits"),
    ],
)
def test_rubbish_is_refused(message: bytes) -> None:
    with pytest.raises(Malformed):
        take_apart(message)
