"""Two versions' answers to one frame: what agrees, and how far apart the rest is."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.pipeline.compare import DIFFERENT, MOST_VALUES, Comparison, Outputs, compare, iou, matches
from protos.result import OUTPUT_OF_TASK, Anomaly, Classified, Detected, Tensor

UNIT = st.floats(0, 1)
LABELS = st.sampled_from(["cat", "dog"])
BOXES = st.tuples(UNIT, UNIT, UNIT, UNIT).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "classification": st.lists(st.builds(Classified, LABELS, UNIT, st.integers(0, 9)), max_size=3),
    "detection": st.lists(st.builds(Detected, LABELS, UNIT, BOXES), max_size=5),
    "anomaly": st.lists(st.builds(Anomaly, UNIT, UNIT, st.booleans()), min_size=1, max_size=1),
    "tensor": st.lists(
        st.lists(st.floats(-9, 9), max_size=5).map(lambda values: Tensor("y", (1, len(values)), tuple(values))),
        max_size=2,
    ),
}
PAIRS = st.sampled_from(sorted(ANSWERS)).flatmap(lambda task: st.tuples(st.just(task), ANSWERS[task], ANSWERS[task]))


def plain(answer: object) -> Outputs:
    """As it comes from a worker."""
    found: Outputs = msgspec.to_builtins(answer)
    return found


def boxes(*coordinates: float, label: str = "cat") -> Detected:
    left, top, right, bottom = coordinates
    return Detected(label, 0.9, (left, top, right, bottom))


def said_the_same(found: Comparison, distance: float) -> None:
    assert found.agreed
    assert found.distance == pytest.approx(distance)


@given(PAIRS)
def test_an_answer_agrees_with_itself_at_no_distance(pair: tuple[str, Any, Any]) -> None:
    task, answer, _ = pair
    assert compare(task, plain(answer), plain(answer)) == Comparison(agreed=True, distance=0.0)


@given(PAIRS)
def test_it_does_not_matter_which_version_is_named_first(pair: tuple[str, Any, Any]) -> None:
    task, one, other = pair
    forth, back = compare(task, plain(one), plain(other)), compare(task, plain(other), plain(one))
    assert forth.agreed == back.agreed
    assert forth.distance == pytest.approx(back.distance)


@given(PAIRS)
def test_a_distance_is_a_number_and_never_negative(pair: tuple[str, Any, Any]) -> None:
    task, one, other = pair
    assert 0 <= compare(task, plain(one), plain(other)).distance < math.inf


@given(ANSWERS["detection"], ANSWERS["detection"])
def test_a_box_has_one_match_at_most_and_of_its_own_label(one: list[Detected], other: list[Detected]) -> None:
    found = matches(plain(one), plain(other))
    assert len({i for i, _, _ in found}) == len({j for _, j, _ in found}) == len(found)
    assert all(one[i].label == other[j].label for i, j, _ in found)


def test_classes_agree_where_the_best_label_is_the_same() -> None:
    cat, dog = Classified("cat", 0.9, 0), Classified("dog", 0.1, 1)
    surer = Classified("cat", 0.95, 0)
    said_the_same(compare("classification", plain([cat, dog]), plain([surer])), 0.05)
    assert compare("classification", plain([cat, dog]), plain([dog, cat])) == DIFFERENT


def test_boxes_agree_where_each_has_its_match_in_both_directions() -> None:
    one, near, far = boxes(0, 0, 0.4, 1), boxes(0, 0, 0.5, 1), boxes(0.6, 0, 1, 1)
    said_the_same(compare("detection", plain([one]), plain([near])), 0.2)
    assert not compare("detection", plain([one]), plain([near, far])).agreed
    assert compare("detection", plain([one]), plain([far])) == Comparison(agreed=False, distance=1.0)
    assert not compare("detection", plain([one]), plain([boxes(0, 0, 0.4, 1, label="dog")])).agreed
    assert compare("detection", [], []) == Comparison(agreed=True, distance=0.0)


def test_the_boxes_that_overlap_most_are_matched_first() -> None:
    one, other = [boxes(0, 0, 0.5, 1), boxes(0, 0, 0.4, 1)], [boxes(0, 0, 0.4, 1), boxes(0, 0, 0.6, 1)]
    assert [(i, j) for i, j, _ in matches(plain(one), plain(other))] == [(1, 0), (0, 1)]


@pytest.mark.parametrize(("scores", "agreed"), [((0.4, 0.45), True), ((0.4, 0.6), False)])
def test_anomalies_agree_on_the_same_side_of_the_threshold(scores: tuple[float, float], agreed: bool) -> None:
    one, other = ([Anomaly(score, 0.5, score > 0.5)] for score in scores)
    found = compare("anomaly", plain(one), plain(other))
    assert found.agreed == agreed
    assert found.distance == pytest.approx(abs(scores[0] - scores[1]))


def test_tensors_agree_within_a_share_of_their_largest_value() -> None:
    def tensor(*values: float) -> Outputs:
        return plain([Tensor("y", (len(values),), values)])

    assert compare("tensor", tensor(10, 0), tensor(9.9, 0.1)).agreed
    assert compare("tensor", tensor(10, 0), tensor(9, 0)) == Comparison(agreed=False, distance=0.5)
    assert compare("tensor", tensor(1, 2), tensor(1, 2, 3)) == DIFFERENT


def test_of_a_large_tensor_values_all_over_it_are_looked_at() -> None:
    size = 10 * MOST_VALUES
    one = plain([Tensor("y", (size,), tuple(float(i) for i in range(size)))])
    other = plain([Tensor("y", (size,), tuple(float(i) * 2 for i in range(size)))])
    assert compare("tensor", one, other).distance == pytest.approx(size / 2, rel=0.01)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_answer_that_is_no_number_agrees_with_nothing(value: float) -> None:
    broken = plain([Tensor("y", (1,), (value,))])
    assert compare("tensor", broken, broken) == DIFFERENT
    score = plain([Classified("cat", value, 0)])
    assert compare("classification", score, score) == DIFFERENT


def test_answers_of_a_task_that_nobody_knows_agree_with_nothing() -> None:
    assert compare("segmentation", [], []) == DIFFERENT
    assert ANSWERS.keys() == OUTPUT_OF_TASK.keys()


def test_an_empty_box_overlaps_itself_and_nothing_else() -> None:
    assert iou((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5)) == 1.0
    assert iou((0.5, 0.5, 0.5, 0.5), (0.0, 0.0, 1.0, 1.0)) == 0.0
