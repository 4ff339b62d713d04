"""The protobuf wire format, read with bounds."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed, Work
from protos.admission.wire import Message, fields, integers, signed, text_of, varint
from tests.hostile.protobuf import number, text
from tests.hostile.protobuf import varint as written

WORK = Limits(name_bytes=8, attributes=2)


def message(content: bytes, limits: Limits = WORK) -> Message:
    return Message(memoryview(content), Work(limits))


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_are_read_as_they_were_written(value: int) -> None:
    read, end = varint(memoryview(written(value)), 0)
    assert read == value % 2**64
    assert end == len(written(value))
    assert signed(read) == (value if value < 2**63 else value - 2**64)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_packed_integers_are_those_one_by_one(values: list[int]) -> None:
    packed = b"".join(map(written, values))
    assert list(integers(memoryview(packed))) == values
    assert [one for value in values for one in integers(value % 2**64)] == values


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80", "does not end"),
        (b"\x08", "does not end"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
        (b"\x08" + b"\xff" * 11, "does not end"),
        (b"\x00\x00", "number 0"),
        (b"\x0a\x05abc", "cut off"),
        (b"\x0d\x00", "cut off"),
        (b"\x0b", "cut off"),
    ],
    ids=["key", "value", "wide", "long", "zero", "bytes", "fixed", "group"],
)
def test_what_is_no_protobuf_is_malformed(content: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        list(fields(memoryview(content), Work(LIMITS)))


def test_fixed_fields_are_bytes() -> None:
    content = b"\x0d" + b"abcd" + b"\x11" + b"12345678"
    found = [(field, bytes(value)) for field, value in fields(memoryview(content), Work(LIMITS)) if value]
    assert found == [(1, b"abcd"), (2, b"12345678")]


def test_no_more_fields_are_looked_at_than_allowed() -> None:
    with pytest.raises(Inadmissible, match="more than 3 fields"):
        list(fields(memoryview(number(1, 1) * 4), Work(Limits(fields=3))))


def test_a_message_gives_its_fields_by_number() -> None:
    read = message(number(1, -5) + text(2, "name") + text(3, "a") + text(3, "b") + number(1000, 1))
    assert (read.integer(1), read.integer(9, 7), read.text(2), read.text(9)) == (-5, 7, "name", "")
    assert read.texts(3) == ["a", "b"]
    assert len(read.all(3)) == 2
    assert read.one(1000) is None


def test_a_field_twice_that_stands_once_is_malformed() -> None:
    with pytest.raises(Malformed, match="field 1 twice"):
        message(number(1, 1) * 2).integer(1)


def test_more_of_a_repeated_field_than_are_kept_are_refused_where_all_are_needed() -> None:
    read = message(text(5, "") * 3)
    assert len(read.first(5)) == 2
    with pytest.raises(Inadmissible, match="more than 2 of field 5"):
        read.all(5)


def test_names_are_short_texts() -> None:
    with pytest.raises(Inadmissible, match="a name of 9 bytes; at most 8"):
        message(text(1, "a" * 9)).text(1)
    with pytest.raises(Malformed, match="not UTF-8"):
        message(text(1, b"\xff")).text(1)
    with pytest.raises(Malformed, match="in place of a text"):
        text_of(5, Work(LIMITS))
    with pytest.raises(Malformed, match="in place of a message"):
        Message(5, Work(LIMITS))


@given(st.binary(max_size=300))
def test_no_bytes_break_a_message(content: bytes) -> None:
    with suppress(Inadmissible):
        message(content)
