"""Long lists of numbers leave a document before it is read, and are read as strictly as if they were in it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.serving.inference import ServingError
from edge_node.serving.rest import lists, question
from edge_node.serving.rest.lists import Span, pieces, without_lists

TENSOR = {"name": "x", "shape": [1, 4], "datatype": "FP32"}
NUMBERS = st.lists(st.lists(st.lists(st.integers(-99, 99), max_size=9), max_size=4), max_size=4)
TEXT = st.text(alphabet='[],1 \n-"{}a:', max_size=140)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PIECE", 40)
    monkeypatch.setattr(question, "LARGE", 0)


def is_json(text: bytes) -> bool:
    """Whether it is a list of numbers, by a reader that reads it as a whole."""
    try:
        return isinstance(msgspec.json.decode(text), list)
    except msgspec.MsgspecError:
        return False


def read(text: bytes) -> bytes | None:
    """What comes out of the pieces, None where they are refused."""
    try:
        return b",".join(pieces(Span(text, 0, len(text))))
    except (msgspec.MsgspecError, TypeError):
        return None


@given(NUMBERS, st.sampled_from([None, 0]))
def test_the_pieces_of_a_list_are_its_elements(numbers: list[Any], indent: int | None) -> None:
    text = json.dumps(numbers, indent=indent).encode()
    assert read(text) == text.translate(None, b"[] \n")


@given(TEXT.map(lambda text: f"[{text}]".encode()))
def test_what_is_no_json_as_a_whole_is_none_in_pieces(text: bytes) -> None:
    if b'"' not in text and b"{" not in text:
        assert is_json(text) or read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"1," * 20 + b"1 2]",
        b"[" + b"1," * 20 + b"]",
        b"[" + b",1" * 20 + b"]",
        b"[1],[1]" * 20,
        b"[[" + b"1," * 20 + b"1]",
    ],
)
def test_lists_that_are_no_json_are_refused(text: bytes) -> None:
    assert read(text) is None


@given(NUMBERS, st.text(max_size=8), st.booleans())
def test_a_document_says_the_same_without_its_lists(numbers: list[Any], name: str, as_array: bool) -> None:
    head = {"inputs": [{**TENSOR, "data": numbers, "name": name}, {**TENSOR, "data": ["data", '"data":[1,2,3,4,5,6]']}]}
    text = json.dumps(head).encode()
    document = without_lists(bytearray(text) if as_array else text)
    read_head = question._HEAD.decode(document.text)
    data = read_head.inputs[0].data
    assert isinstance(data, msgspec.Raw)
    span = document.list_of(data)
    assert json.loads(bytes(data) if span is None else span.text[span.begin : span.end]) == numbers
    assert read_head.inputs[0].name == name
    assert isinstance(read_head.inputs[1].data, msgspec.Raw)
    assert json.loads(bytes(read_head.inputs[1].data)) == head["inputs"][1]["data"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_a_large_question_is_the_same_as_a_small_one(values: list[float]) -> None:
    head = {"inputs": [{"name": "x", "shape": [len(values)], "datatype": "FP32", "data": values}]}
    text = json.dumps(head).encode()
    large = question.question("m", "", text, None, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(question, "LARGE", len(text))
        assert question.question("m", "", text, None, 0) == large


def test_a_client_cannot_name_a_list_that_is_not_there() -> None:
    text = json.dumps({"inputs": [{**TENSOR, "data": {"taken out": 7}}]}).encode()
    with pytest.raises(ServingError, match="not an array"):
        question.question("m", "", text, None, 0)


def test_many_names_without_lists_take_no_longer_than_their_length() -> None:
    text = b'"data":[' * 100_000
    assert without_lists(text) == (text, [])


def test_what_is_left_of_a_document_is_bounded() -> None:
    text = json.dumps({"inputs": [TENSOR], "more": [1] * 100}).encode()
    with pytest.raises(ServingError, match="100 are taken"):
        question.question("m", "", text, None, 0, beside=100)
