"""What fits a model, and what is said to whoever asks for something else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.lane.messages import Port, Sequence
from edge_node.serving.check import Taken, check_outputs, check_sequence, check_sizes, shape_of
from edge_node.serving.inference import InputTensor, InRegion, Kind, RequestedOutput, ServingError

SIMPLE = Taken(
    "simple",
    {"INPUT0": Port("INPUT0", "INT32", (-1, 16)), "INPUT1": Port("INPUT1", "INT32", (-1, 16))},
    {"OUTPUT0": Port("OUTPUT0", "INT32", (-1, 16)), "TEXT": Port("TEXT", "BYTES", (-1, 1))},
    8,
)
FREE = Taken("free", {"x": Port("x", "BYTES", (-1, 2))}, {}, 0)


def tensor(name: str, shape: tuple[int, ...] = (1, 16), datatype: str = "INT32", size: int = 64) -> InputTensor:
    return InputTensor(name, datatype, shape, bytes(size))


BOTH = (tensor("INPUT0"), tensor("INPUT1"))


def test_what_fits_has_its_rows_its_sizes_and_a_form_without_the_batch() -> None:
    one = shape_of(SIMPLE, BOTH)
    more = shape_of(SIMPLE, (tensor("INPUT1", (3, 16)), tensor("INPUT0", (3, 16))))
    assert (one.rows, one.sizes) == (1, (64, 64))
    assert (more.rows, more.sizes) == (3, (192, 192))
    assert one.form == more.form


def test_without_a_batch_axis_the_whole_shape_is_the_form() -> None:
    assert shape_of(FREE, [tensor("x", (5, 2), "BYTES")]).form == (("x", "BYTES", (5, 2)),)
    assert shape_of(FREE, [tensor("x", (0, 2), "BYTES")]).rows == 1


def test_in_padded_axes_asks_share_a_batch_up_to_twice_the_size() -> None:
    padded = Taken("text", {"ids": Port("ids", "INT64", (-1, -1), padded=(1,))}, {}, 8)
    short, similar, longer = (shape_of(padded, [tensor("ids", (1, length), "INT64")]).form for length in (65, 127, 128))
    assert short == similar
    assert short != longer


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ((*BOTH, tensor("INPUT2")), "unexpected inference input 'INPUT2' for model 'simple'"),
        ((*BOTH, tensor("INPUT0")), "input 'INPUT0' already exists in request"),
        (BOTH[:1], "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing"),
        ((), "missing required input(s) ['INPUT0', 'INPUT1']"),
        (
            (BOTH[0], tensor("INPUT1", datatype="FP32")),
            "inference input 'INPUT1' data-type is 'FP32', but model 'simple' expects 'INT32'",
        ),
        ((BOTH[0], tensor("INPUT1", datatype="FP31")), "'FP31', which is no datatype"),
        (
            (BOTH[0], tensor("INPUT1", (1, 17))),
            "unexpected shape for input 'INPUT1' for model 'simple'. Expected [-1,16], got [1,17]",
        ),
        ((BOTH[0], tensor("INPUT1", (16,))), "Expected [-1,16], got [16]"),
        ((BOTH[0], tensor("INPUT1", (-1, 16))), "got [-1,16]"),
        ((BOTH[0], tensor("INPUT1", (2, 16))), "input 'INPUT1' batch size does not match other inputs"),
        ([tensor(f"INPUT{n}", (9, 16)) for n in (0, 1)], "batch-size must be <= 8 for 'simple', and not 9"),
        ([tensor(f"INPUT{n}", (0, 16)) for n in (0, 1)], "and not 0"),
    ],
)
def test_what_does_not_fit_is_named(inputs: list[InputTensor], reason: str) -> None:
    with pytest.raises(ServingError, match=re.escape(reason)) as raised:
        shape_of(SIMPLE, inputs)
    assert raised.value.kind is Kind.INVALID


@given(st.integers(0, 200))
def test_the_bytes_are_those_of_the_shape_wherever_they_lie(size: int) -> None:
    shape = shape_of(SIMPLE, BOTH)
    for data in (bytes(size), memoryview(bytes(size)), InRegion("r", 0, size)):
        inputs = (InputTensor("INPUT0", "INT32", (1, 16), data), BOTH[1])
        if size == 64:
            assert check_sizes(shape, inputs) == [64, 64]
        else:
            with pytest.raises(ServingError, match=f"total byte size {size} for input 'INPUT0', expecting 64"):
                check_sizes(shape, inputs)


def test_bytes_have_at_least_their_lengths() -> None:
    shape = shape_of(FREE, [tensor("x", (2, 2), "BYTES")])
    assert check_sizes(shape, [tensor("x", (2, 2), "BYTES", 16)]) == [16]
    with pytest.raises(ServingError, match="4 elements and only 15 bytes"):
        check_sizes(shape, [tensor("x", (2, 2), "BYTES", 15)])


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ([RequestedOutput("OUTPUT9")], "unexpected inference output 'OUTPUT9' for model 'simple'"),
        ([RequestedOutput("TEXT"), RequestedOutput("TEXT")], "more than once"),
        ([RequestedOutput("TEXT", classes=1)], "output 'TEXT' is BYTES: it has no classes"),
    ],
)
def test_outputs_that_cannot_be_are_named(outputs: list[RequestedOutput], reason: str) -> None:
    with pytest.raises(ServingError, match=reason):
        check_outputs(SIMPLE, outputs)


def test_a_recurrent_model_wants_a_sequence() -> None:
    assert check_sequence("m", Sequence(7)).id == 7
    with pytest.raises(ServingError, match="must specify a non-zero or non-empty correlation ID"):
        check_sequence("m", None)
    with pytest.raises(ServingError, match="at most 256 characters"):
        check_sequence("m", Sequence("x" * 257))
