"""The classification extension."""

import struct
from collections.abc import Sequence

import pytest

from edge_node.serving.classify import classes_of
from edge_node.serving.inference import ServingError

FLOATS = struct.pack("<6f", 0.1, 0.7, 0.2, 5, -1, 6)


def classes(
    values: bytes, datatype: str, shape: Sequence[int], wanted: int, labels: Sequence[str] = (), batched: bool = True
) -> tuple[list[str], tuple[int, ...]]:
    """The classes as strings, and their shape."""
    data, found = classes_of(memoryview(values), datatype, shape, wanted, labels, batched=batched)
    strings = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        strings.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return strings, found


def test_each_row_of_a_batch_has_its_best_first() -> None:
    expected = ["0.700000:1", "0.200000:2", "6.000000:2", "5.000000:0"]
    assert classes(FLOATS, "FP32", (2, 3), 2) == (expected, (2, 2))


def test_without_a_batch_axis_there_is_one_list() -> None:
    assert classes(FLOATS, "FP32", (2, 3), 1, batched=False) == (["6.000000:5"], (1,))


def test_labels_are_the_third_field_where_there_is_one() -> None:
    assert classes(bytes((3, 9, 5)), "UINT8", (1, 3), 2, ("cat", "dog")) == (["9:1:dog", "5:2"], (1, 2))


def test_no_more_classes_than_there_are() -> None:
    assert classes(bytes(2), "INT8", (1, 2), 1000) == (["0:0", "0:1"], (1, 2))


def test_half_precision_is_read() -> None:
    assert classes(struct.pack("<2e", 0.5, 1.5), "FP16", (1, 2), 1) == (["1.500000:1"], (1, 1))


def test_an_output_that_is_too_long_to_be_classes_is_refused() -> None:
    with pytest.raises(ServingError, match="too large to be classes"):
        classes(b"", "FP32", (1000, 1000), 1)
