"""Tensors between JSON and bytes: everything that fits comes back, everything else is a refusal."""

import json
import struct
from contextlib import suppress
from math import prod
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rest import lists
from edge_node.serving.rest.convert import FLOATS, FORMATS, MOST_TEXT, elements, from_json, to_json

WHOLE = {name: letter for name, letter in FORMATS.items() if name not in FLOATS}
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def nested(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The values as lists in lists, as the shape says."""
    if len(shape) < 2:
        return values
    step = prod(shape[1:])
    return [nested(values[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0])]


def read(datatype: str, shape: tuple[int, ...], document: object) -> bytes:
    return from_json("x", datatype, shape, msgspec.Raw(json.dumps(document).encode()))


def values_of(datatype: str) -> st.SearchStrategy[Any]:
    if datatype == "BOOL":
        return st.booleans()
    if datatype == "BYTES":
        return st.text(max_size=5)
    if datatype in FLOATS:
        return st.floats(width=32 if datatype == "FP32" else 64, allow_nan=False, allow_infinity=False)
    bits = 8 * struct.calcsize(WHOLE[datatype])
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if datatype[0] == "I" else st.integers(0, 2**bits - 1)


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", *FORMATS])
@given(data=st.data())
def test_what_goes_in_as_json_comes_out_as_json_however_it_is_nested(datatype: str, data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    values = data.draw(st.lists(values_of(datatype), min_size=prod(shape), max_size=prod(shape)))
    flat = read(datatype, shape, values)
    assert read(datatype, shape, nested(values, shape)) == flat
    assert to_json("x", datatype, flat) == values


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", *FORMATS])
@given(values=st.lists(st.integers(1, 100), min_size=1, max_size=40))
def test_numbers_are_read_piece_by_piece(datatype: str, values: list[int]) -> None:
    given_values: list[Any] = [str(value) for value in values] if datatype == "BYTES" else list(values)
    if datatype == "BOOL":
        given_values = [value > 50 for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "PIECE", 8)
        content = read(datatype, (len(values),), given_values)
    assert content == read(datatype, (len(values),), given_values)


@pytest.mark.parametrize(
    ("datatype", "document"),
    [
        ("UINT8", [256]),
        ("UINT8", [-1]),
        ("INT64", [2**63]),
        ("INT32", [1.5]),
        ("INT32", ["1"]),
        ("INT32", [True]),
        ("INT32", [None]),
        ("INT32", [{"1": 1}]),
        ("INT32", 1),
        ("INT32", {}),
        ("BOOL", [1]),
        ("FP32", [1e39]),
        ("FP32", ["NaN"]),
        ("FP32", [[1.0, 2.0]]),
        ("FP32", []),
        ("BYTES", [1]),
        ("BYTES", [["a"], "b"]),
        ("BYTES", ["a", ["b"]]),
        ("BYTES", ["\ud800"]),
        ("FP16", [1.0]),
        ("BF16", [1.0]),
        ("FLOAT", [1.0]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(datatype: str, document: object) -> None:
    with pytest.raises(ServingError, match="'x'") as refusal:
        read(datatype, (1,), document)
    assert refusal.value.kind is Kind.INVALID
    assert "\n" not in refusal.value.reason


@given(st.sampled_from(["BOOL", "BYTES", *FORMATS]), st.binary(max_size=40))
def test_rubbish_is_refused_and_nothing_else_happens(datatype: str, content: bytes) -> None:
    with suppress(ServingError):
        from_json("x", datatype, (1,), msgspec.Raw(content))


def test_a_number_longer_than_a_piece_is_refused() -> None:
    with pytest.raises(ServingError, match="too long"):
        from_json("x", "FP32", (2,), msgspec.Raw(b"[0." + b"0" * lists.PIECE + b"1,1]"))


def test_too_many_strings_are_refused_as_json() -> None:
    with pytest.raises(ServingError, match="binary data") as refusal:
        from_json("x", "BYTES", (1,), msgspec.Raw(b'["' + b"a" * MOST_TEXT + b'"]'))
    assert refusal.value.kind is Kind.TOO_LARGE


def test_json_has_null_for_what_is_no_finite_number() -> None:
    data = struct.pack("<4f", 1.5, float("nan"), float("inf"), float("-inf"))
    assert to_json("y", "FP32", data) == [1.5, None, None, None]


@pytest.mark.parametrize(("datatype", "data"), [("FP16", b"\0\0"), ("BYTES", b"\1\0\0\0\xff")])
def test_an_output_that_json_cannot_hold_is_refused_with_what_to_do(datatype: str, data: bytes) -> None:
    with pytest.raises(ServingError, match=r"'y'.*binary_data"):
        to_json("y", datatype, data)


@pytest.mark.parametrize("data", [b"\1\0\0", b"\2\0\0\0a", b"\xff\xff\xff\xffa"])
def test_elements_that_lead_beyond_their_tensor_are_an_error(data: bytes) -> None:
    with pytest.raises(ServingError, match="longer than the tensor"):
        list(elements(data))
