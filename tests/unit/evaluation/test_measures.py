"""Measures of answers against what is true."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.evaluation.dataset import Box
from edge_node.evaluation.measures import (
    Case,
    accuracy,
    accuracy_by_class,
    ap50,
    ap50_by_class,
    auroc,
    confusions,
)

HERE: Box = (0.1, 0.1, 0.5, 0.5)
THERE: Box = (0.6, 0.6, 0.9, 0.9)


def answered(label: str, answer: str | None, score: float = 0.5) -> Case:
    """A classified sample."""
    return Case("a.jpg", {}, 1.0, label, answered=answer, score=score, error="" if answer else "no answer")


def boxed(boxes: list[tuple[str, Box]], found: list[tuple[str, float, Box]]) -> Case:
    """A sample with boxes."""
    return Case("a.jpg", {}, 1.0, boxes=tuple(boxes), found=tuple(found))


def test_accuracy_is_the_share_of_right_answers_and_no_answer_is_wrong() -> None:
    assert accuracy([answered("a", "a"), answered("a", "b"), answered("b", "b"), answered("b", None)]) == 0.5
    assert accuracy([]) == 0.0


def test_each_class_has_its_precision_and_recall() -> None:
    cat, dog = accuracy_by_class([answered("cat", "cat"), answered("cat", "dog"), answered("dog", "dog")])
    assert (cat.label, cat.support, cat.precision, cat.recall, cat.value) == ("cat", 2, 1.0, 0.5, 0.5)
    assert (dog.support, dog.precision, dog.recall) == (1, 0.5, 1.0)


def test_a_class_that_was_never_called_has_no_precision() -> None:
    assert accuracy_by_class([answered("cat", "dog")])[0].precision == 0.0


def test_all_boxes_found_and_nothing_else_is_a_precision_of_one() -> None:
    assert ap50([boxed([("face", HERE), ("face", THERE)], [("face", 0.9, HERE), ("face", 0.8, THERE)])]) == 1.0


def test_a_box_is_found_once_and_the_second_that_claims_it_is_wrong() -> None:
    (face,) = ap50_by_class([boxed([("face", HERE)], [("face", 0.9, HERE), ("face", 0.8, HERE)])])
    assert (face.precision, face.recall, face.value) == (0.5, 1.0, 1.0)


def test_a_wrong_box_with_the_best_score_halves_the_precision() -> None:
    assert ap50([boxed([("face", HERE)], [("face", 0.9, THERE), ("face", 0.8, HERE)])]) == 0.5


def test_boxes_of_another_label_or_elsewhere_find_nothing() -> None:
    assert ap50([boxed([("face", HERE)], [("hand", 0.9, HERE), ("face", 0.8, THERE)])]) == 0.0
    assert ap50([boxed([("face", HERE)], [])]) == 0.0
    assert ap50([boxed([], [("face", 0.9, HERE)])]) == 0.0


def test_the_area_below_the_curve_is_that_of_vocs_own_example() -> None:
    """Right, wrong, right of two boxes: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1, made monotone."""
    found = [("face", 0.9, HERE), ("face", 0.8, (0.0, 0.9, 0.1, 1.0)), ("face", 0.7, THERE)]
    assert math.isclose(ap50([boxed([("face", HERE), ("face", THERE)], found)]), 0.5 * 1 + 0.5 * 2 / 3)


def test_an_anomaly_model_that_tells_all_apart_has_one_and_one_that_guesses_half() -> None:
    assert auroc([answered("normal", "", 1.0), answered("anomalous", "", 2.0)]) == 1.0
    assert auroc([answered("normal", "", 1.0), answered("anomalous", "", 1.0)]) == 0.5
    assert auroc([answered("normal", "", 2.0), answered("anomalous", "", 1.0)]) == 0.0
    assert auroc([answered("normal", "", 2.0)]) == 0.0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_area_is_the_share_of_pairs_in_the_right_order(samples: list[tuple[bool, int]]) -> None:
    cases = [answered("anomalous" if bad else "normal", "", float(score)) for bad, score in samples]
    pairs = [(a, b) for bad, a in samples if bad for good, b in samples if not good]
    exact = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else 0.0
    assert auroc(cases) == pytest.approx(exact)


def test_the_most_frequent_mistakes_come_first() -> None:
    cases = [answered("a", "b"), answered("a", "b"), answered("b", None), answered("a", "a")]
    assert confusions(cases) == (("a", "b", 2), ("b", "no answer", 1))
