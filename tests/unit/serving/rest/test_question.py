"""What bodies ask for, and what goes back."""

import json
from collections.abc import Sequence as Items
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.lane.messages import Port, Sequence
from edge_node.serving.control import Batching
from edge_node.serving.inference import (
    Answered,
    Inference,
    InRegion,
    Kind,
    OutputTensor,
    RequestedOutput,
    ServingError,
)
from edge_node.serving.rest.answer import answer
from edge_node.serving.rest.question import Forms, json_length, question, raw_question

X = {"name": "x", "shape": [1, 4], "datatype": "UINT8"}


class OneInput:
    """A model with one input."""

    name, version, platform, engine = "m", "1", "stub", "stub"
    outputs: Items[Port] = (Port("y", "UINT8", (-1,)),)
    instances, recurrent, sequence_idle_s = 1, False, 0.0
    batching = Batching()
    labels: Items[str] = ()

    def __init__(self, shape: tuple[int, ...], datatype: str = "FP32", max_batch: int = 0) -> None:
        self.inputs: Items[Port] = (Port("x", datatype, shape),)
        self.max_batch = max_batch


def body_of(head: dict[str, Any], behind: bytes = b"") -> tuple[bytes, int | None]:
    text = json.dumps(head).encode()
    return text + behind, len(text) if behind else None


def asked(head: dict[str, Any], behind: bytes = b"") -> tuple[Inference, Forms]:
    return question("m", "", *body_of(head, behind), now_ns=1_000_000)


def refusal_of(head: dict[str, Any], behind: bytes = b"") -> str:
    with pytest.raises(ServingError) as refusal:
        asked(head, behind)
    assert refusal.value.kind is Kind.INVALID
    return refusal.value.reason


def test_binary_tensors_are_views_of_the_body_in_their_order() -> None:
    heads = [{**X, "name": name, "parameters": {"binary_data_size": 4}} for name in ("a", "b")]
    body, length = body_of({"inputs": heads}, b"abcdefgh")
    inference, _ = question("m", "", body, length, 0)
    views = [tensor.data for tensor in inference.inputs]
    assert views == [b"abcd", b"efgh"]
    assert all(isinstance(view, memoryview) and view.obj is body for view in views)


def test_everything_that_can_be_asked_is_asked() -> None:
    place = {"shared_memory_region": "r", "shared_memory_byte_size": 4, "shared_memory_offset": 8}
    inference, forms = asked(
        {
            "id": "42",
            "parameters": {
                "sequence_id": 7,
                "sequence_start": True,
                "sequence_end": False,
                "priority": 2,
                "timeout": 5,
                "binary_data_output": True,
                "of_the_client": "ignored",
            },
            "inputs": [{**X, "parameters": place}],
            "outputs": [
                {"name": "y", "parameters": {"classification": 3}},
                {"name": "z", "parameters": place},
                {"name": "w", "parameters": {"binary_data": True}},
            ],
        }
    )
    assert inference.id == "42"
    assert inference.priority == 2
    assert inference.deadline_ns == 1_005_000
    assert inference.sequence == Sequence(7, start=True, end=False)
    assert inference.inputs[0].data == InRegion("r", 8, 4)
    assert inference.outputs == (
        RequestedOutput("y", 3),
        RequestedOutput("z", 0, InRegion("r", 8, 4)),
        RequestedOutput("w"),
    )
    assert [forms.is_binary(name) for name in ("y", "z", "w", "other")] == [False, False, True, True]


@pytest.mark.parametrize("sequence_id", [0, ""])
def test_sequence_zero_is_none(sequence_id: int | str) -> None:
    inference, _ = asked({"parameters": {"sequence_id": sequence_id}, "inputs": []})
    assert inference.sequence is None


def test_what_is_null_is_absent() -> None:
    inference, forms = asked(
        {"id": None, "outputs": None, "parameters": None, "inputs": [{**X, "data": [1, 2, 3, 4], "parameters": None}]}
    )
    assert (inference.id, inference.outputs, inference.deadline_ns) == ("", (), 0)
    assert inference.inputs[0].data == b"\1\2\3\4"
    assert not forms.is_binary("y")


def test_an_input_says_once_what_it_holds() -> None:
    assert "it has 0" in refusal_of({"inputs": [X]})
    assert "it has 2" in refusal_of({"inputs": [{**X, "data": [1], "parameters": {"binary_data_size": 4}}]}, b"abcd")


def test_binary_data_is_neither_short_nor_left_over() -> None:
    heads = {"inputs": [{**X, "parameters": {"binary_data_size": 4}}]}
    assert "3 came" in refusal_of(heads, b"abc")
    assert "unexpected additional input data for model 'm'" in refusal_of(heads, b"abcde")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", -1),
        ("priority", True),
        ("priority", 2**63),
        ("timeout", "5"),
        ("timeout", 0.5),
        ("sequence_id", 1.5),
        ("binary_data_output", 1),
    ],
)
def test_a_parameter_of_another_kind_is_refused_by_name(name: str, value: object) -> None:
    assert f"'{name}'" in refusal_of({"inputs": [], "parameters": {name: value}})


@pytest.mark.parametrize(
    "parameters",
    [
        {"classification": 1, "shared_memory_region": "r"},
        {"binary_data": True, "shared_memory_region": "r"},
        {"binary_data": "yes"},
        {"classification": -1},
        {"shared_memory_region": 5},
    ],
)
def test_an_output_that_contradicts_itself_is_refused(parameters: dict[str, object]) -> None:
    refusal_of({"inputs": [], "outputs": [{"name": "y", "parameters": parameters}]})


@pytest.mark.parametrize("header", ["-1", "5 ", "1e3", "", "9", "٣", "9" * 40])
def test_a_length_of_json_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(ServingError, match="Inference-Header-Content-Length"):
        json_length(header, b"12345678")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data_size", "shared_memory_region", "timeout", "sequence_id", "classification"]), JSON
)
TENSOR = st.fixed_dictionaries(
    {"name": st.text(max_size=3), "shape": JSON, "datatype": st.sampled_from(["FP32", "BYTES", "FP16", "?"])},
    optional={"data": JSON, "parameters": PARAMETERS},
)
HEADS = st.fixed_dictionaries({}, optional={"inputs": st.lists(TENSOR | JSON, max_size=2), "parameters": PARAMETERS})


@given(HEADS | JSON, st.binary(max_size=8))
def test_rubbish_is_refused_and_nothing_else_happens(head: Any, behind: bytes) -> None:
    with suppress(ServingError):
        asked(head, behind)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b'{"inputs":[{"name":"\xff"}]}'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ServingError, match="failed to parse the request JSON"):
        question("m", "", body, None, 0)


@pytest.mark.parametrize(
    ("model", "body", "shape"),
    [
        (OneInput((-1, 2), max_batch=8), bytes(8), (1, 2)),
        (OneInput((-1, -1, 2), max_batch=8), bytes(24), (1, 3, 2)),
        (OneInput((-1, 2)), bytes(24), (3, 2)),
        (OneInput((1,), "BYTES"), b"text", (1,)),
    ],
)
def test_a_raw_body_is_the_one_input(model: OneInput, body: bytes, shape: tuple[int, ...]) -> None:
    inference, forms = raw_question(model, body)
    assert inference.inputs[0].shape == shape
    assert forms.is_binary("y")


def test_a_raw_string_gets_its_length() -> None:
    inference, _ = raw_question(OneInput((1,), "BYTES"), b"text")
    assert inference.inputs[0].data == b"\4\0\0\0text"


@pytest.mark.parametrize("shape", [(-1, -1), (0, -1)])
def test_a_raw_body_of_unknown_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ServingError, match="can't tell"):
        raw_question(OneInput(shape), bytes(8))


def test_an_answer_has_json_then_what_is_binary() -> None:
    outputs = (
        OutputTensor("a", "UINT8", (2,), b"\1\2"),
        OutputTensor("b", "UINT8", (2,), b"\3\4"),
        OutputTensor("c", "UINT8", (2,), memoryview(b"\5\6")),
        OutputTensor("d", "UINT8", (2,), InRegion("r", 8, 2)),
    )
    body, length = answer(Answered("m", "3", outputs, "7"), Forms(default=True, binary={"a": False}))
    assert body[length:] == b"\3\4\5\6"
    assert json.loads(body[:length]) == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "a", "datatype": "UINT8", "shape": [2], "data": [1, 2]},
            {"name": "b", "datatype": "UINT8", "shape": [2], "parameters": {"binary_data_size": 2}},
            {"name": "c", "datatype": "UINT8", "shape": [2], "parameters": {"binary_data_size": 2}},
            {"name": "d", "datatype": "UINT8", "shape": [2]},
        ],
    }


def test_an_answer_without_binary_outputs_is_all_json() -> None:
    body, length = answer(Answered("m", "1", ()), Forms(default=True, binary={}))
    assert length is None
    assert json.loads(body) == {"model_name": "m", "model_version": "1", "outputs": []}
