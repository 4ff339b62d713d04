"""Answers as people read them."""

import pytest

from edge_node.cli.shown import answer_line, result_text, summary
from edge_node.pipeline.runner import Answer
from protos.result import Anomaly, Classified, Detected, Output, Tensor

MACAW = Classified("macaw", 0.99609, 89)


def test_an_answer_is_a_line_with_its_milliseconds() -> None:
    line = answer_line(Answer((MACAW,), 1.0, 7.0, 0.5))
    assert line == "macaw 0.996  [8.5 ms: preprocess 1.0, infer 7.0, postprocess 0.5]"


def test_classes_that_would_read_zero_are_left_out_unless_all_are() -> None:
    nothing = Classified("background", 0.0001, 0)
    assert "background" not in answer_line(Answer((MACAW, nothing), 1, 1, 1))
    assert answer_line(Answer((nothing, nothing), 1, 1, 1)).startswith("background 0.000  [")


def test_no_results_are_said() -> None:
    assert answer_line(Answer((), 1, 1, 1)).startswith("nothing  [")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Detected("face", 0.5, (0, 0.25, 0.5, 1)), "face 0.500 at [0.000 0.250 0.500 1.000]"),
        (Anomaly(10.26), "error 10.260"),
        (Anomaly(10.26, 9.0, True), "error 10.260 above 9.0"),
        (Anomaly(8.0, 9.0, False), "error 8.000 below 9.0"),
        (Tensor("y", (1, 2), (0.5, 1.0)), "y [1, 2]: 0.5 1"),
        (Tensor("y", (9,), (1.0,) * 9), "y [9]: 1 1 1 1 1 1 1 1 …"),
    ],
)
def test_each_kind_of_result_has_its_words(result: Output, text: str) -> None:
    assert result_text(result) == text


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ([(MACAW,), (MACAW,), (Classified("cat", 0.9, 1),)], "     2 of 3  macaw"),
        ([(Anomaly(1.0, 2.0, False),), (Anomaly(3.0, 2.0, True),)], "error mean 2.000, 1.000 to 3.000, 1 anomalous"),
        ([(Tensor("p", (1,), (0.9,)),), (Tensor("p", (1,), (0.1,)),)], "p mean 0.500, 0.100 to 0.900, 50.0% above 0.5"),
        ([(Tensor("y", (2,), (0.0, 1.0)),)], "y mean 0.500, 0.000 to 1.000"),
        ([(Detected("face", 0.5, (0, 0, 1, 1)),) * 3, ()], "3 boxes, 1.50 a sample"),
        ([(), ()], "0 boxes, 0.00 a sample"),
    ],
)
def test_a_summary_says_what_many_answers_have_in_common(answers: list[tuple[Output, ...]], line: str) -> None:
    text = summary(answers, [1.0] * len(answers), 2.0)
    assert text.splitlines()[0].startswith(f"{len(answers)} samples in 2.0 s")
    assert text.splitlines()[1] == line
