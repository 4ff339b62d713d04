"""Arrays in a slot, and the checks of their values."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_node.errors import BadInput
from edge_node.lane.messages import Port, Tensor
from edge_node.worker.arrays import check_values, packed_texts, put, view
from protos.inference.datatypes import DATATYPES


@given(
    arrays.arrays(st.sampled_from(["bool", "uint8", "int64", "float16", "float64"]), arrays.array_shapes(min_side=0))
)
def test_numbers_are_seen_in_the_slot_itself(array: np.ndarray) -> None:
    slot = memoryview(bytearray(64 + array.nbytes + 64))
    tensor = Tensor("x", DATATYPES[array.dtype.name], array.shape, 64, array.nbytes)
    put(array, tensor.datatype, slot, 64)
    seen = view(slot, tensor)
    np.testing.assert_array_equal(seen, array)
    assert (seen.dtype, seen.shape) == (array.dtype, array.shape)
    assert np.shares_memory(seen, np.frombuffer(slot, np.uint8)) or not array.nbytes


@given(st.lists(st.text()))
def test_texts_come_back(texts: list[str]) -> None:
    array = np.array([*texts, ""], object)[:-1]
    content = packed_texts(array)
    assert view(memoryview(content), Tensor("x", "BYTES", (len(texts),), 0, len(content))).tolist() == texts


@given(st.binary(max_size=30))
def test_bytes_that_are_no_texts_are_refused(content: bytes) -> None:
    try:
        seen = view(memoryview(content), Tensor("x", "BYTES", (1,), 0, len(content)))
    except BadInput:
        return
    assert packed_texts(seen) == content


@pytest.mark.parametrize("content", [b"\0\0\0", struct.pack("<I", 2) + b"a", struct.pack("<I", 0) * 2])
def test_bytes_that_end_early_or_are_too_many_are_refused(content: bytes) -> None:
    with pytest.raises(BadInput, match="BYTES"):
        view(memoryview(content), Tensor("x", "BYTES", (1,), 0, len(content)))


@given(arrays.arrays(st.sampled_from(["float16", "float32", "float64"]), arrays.array_shapes(min_side=0)))
def test_what_is_not_finite_is_refused_and_nothing_else(array: np.ndarray) -> None:
    port = Port("x", "FP32", (-1,))
    with np.errstate(all="ignore"):
        if np.isfinite(array).all():
            check_values(array, port, finite=True)
        else:
            with pytest.raises(BadInput, match="not finite"):
                check_values(array, port, finite=True)


@given(arrays.arrays(st.sampled_from(["uint8", "int32", "float32"]), 5), st.integers(-50, 50), st.integers(0, 100))
def test_what_is_out_of_the_declared_range_is_refused(array: np.ndarray, low: int, width: int) -> None:
    port = Port("x", "FP32", (-1,), low, low + width)
    with np.errstate(all="ignore"):
        if (array >= low).all() and (array <= low + width).all():
            check_values(array, port, finite=False)
        else:
            with pytest.raises(BadInput, match=r"below|above"):
                check_values(array, port, finite=False)


def test_the_element_that_is_no_text_is_named() -> None:
    content = b"".join(len(one).to_bytes(4, "little") + one for one in (b"\xc3\xa4", b"", b"\xff\xfe", b"\xff"))
    with pytest.raises(BadInput, match=r"^the input 'x' has BYTES that are no UTF-8 text: element 2$"):
        view(memoryview(content), Tensor("x", "BYTES", (4,), 0, len(content)))
