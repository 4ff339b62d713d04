"""Options become answers; what is not a value is refused."""

import argparse

import pytest

from edge_node.cli.answers import answers_of, refuse_answers
from edge_node.cli.bench import counts
from edge_node.cli.options import TASKS, add_answers, positive, positive_number, share
from edge_node.errors import BadInput
from protos.bundle import Task


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_answers(parser)
    return parser.parse_args(arguments)


def test_answers_carry_what_was_said() -> None:
    given = parsed("--mean", "1,2,3", "--std", "4", "--constant", "a=b=2", "--background", "none", "--task", "tensor")
    answers = answers_of(given, "l.txt", ("a",))
    assert answers.inputs.mean == (1.0, 2.0, 3.0)
    assert answers.inputs.std == (4.0,)
    assert answers.inputs.constants == {"a=b": 2.0}
    assert answers.outputs.background == "none"
    assert answers.outputs.task is Task.TENSOR
    assert answers.outputs.label_lines == ("a",)
    assert answers.p95_ms is None


def test_nothing_said_is_nothing_answered() -> None:
    answers = answers_of(parsed(), None, ())
    assert answers.inputs.kind is None
    assert answers.outputs.task is None
    assert answers.inputs.constants == {}


def test_the_tasks_of_the_option_are_those_that_have_a_postprocessing() -> None:
    from edge_node.authoring.heads import DECODED

    assert sorted(DECODED) == sorted(TASKS)


def test_answers_that_a_manifest_gives_already_are_refused() -> None:
    refuse_answers(parsed("--top-k", "3"), frozenset({"top_k"}), "")
    with pytest.raises(BadInput, match=r"--score-threshold is not taken here: the manifest says it"):
        refuse_answers(parsed("--score-threshold", "0.5"), frozenset(), "the manifest says it")


def test_background_zero_is_an_answer() -> None:
    with pytest.raises(BadInput, match="--background"):
        refuse_answers(parsed("--background", "0"), frozenset(), "")


@pytest.mark.parametrize(
    "arguments",
    [["--constant", "=1"], ["--constant", "a=x"], ["--mean", ""], ["--background", "no"], ["--top-k", "0"]],
)
def test_a_value_that_is_none_is_refused(arguments: list[str]) -> None:
    with pytest.raises(argparse.ArgumentError):
        parsed(*arguments)


def test_numbers_out_of_range_are_refused() -> None:
    assert (positive("2"), positive_number("0.5"), share("1"), counts("1,2")) == (2, 0.5, 1.0, (1, 2))
    for parse, text in ((positive, "0"), (positive_number, "nan"), (share, "1.5"), (counts, "1,0")):
        with pytest.raises(argparse.ArgumentTypeError):
            parse(text)
