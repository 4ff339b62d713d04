"""Packed messages are the messages again, and nothing else is taken for one."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protos.errors import ContractError
from protos.packing import DICTIONARY, LARGE, packed, unpacked
from protos.topics import MAX_PAYLOAD
from tests.unit.protos.test_egress import RESULT


@given(some.binary(max_size=3000))
def test_what_is_packed_comes_out_again(content: bytes) -> None:
    message = b"[" + content
    assert unpacked(packed(message)) == message
    assert unpacked(message) == message


def test_a_result_takes_a_third_and_a_batch_a_tenth() -> None:
    assert len(packed(b"[" + RESULT + b"]")) < len(RESULT) / 3
    batch = b"[" + b",".join([RESULT.replace(b"macaw", b"m%d" % number) for number in range(100)]) + b"]"
    assert len(batch) > LARGE
    assert len(packed(batch)) < len(batch) / 10


@given(some.binary(max_size=300))
def test_no_bytes_crash_it(payload: bytes) -> None:
    for one in (payload, b"\x78" + payload, packed(RESULT)[:-1] + payload):
        with suppress(ContractError):
            unpacked(one)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (packed(RESULT)[:-3], "too early"),
        (packed(RESULT) + b"x", "too late"),
        (packed(b"[" + bytes(5_000_000)), "more than"),
        (zlib.compress(bytes(MAX_PAYLOAD + 1)), "more than"),
        (b"\x78\xf9\x00\x00\x00\x00", "not a packed message"),
    ],
)
def test_what_is_broken_or_a_bomb_is_refused(payload: bytes, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        unpacked(payload)


def test_the_dictionary_never_changes() -> None:
    """It is part of what both ends must agree on: a better one gets another name."""
    assert zlib.adler32(DICTIONARY) == 753_312_696
