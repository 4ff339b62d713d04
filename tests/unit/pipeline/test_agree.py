"""Agreement with golden outputs, and percentiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.pipeline.agree import agrees, boxes_agreement, top1_agreement, values_agreement
from edge_node.pipeline.latency import percentile
from protos.bundle import Agree
from protos.result import Detected

A = Detected("a", 0.9, (0.0, 0.0, 0.5, 0.5))
B = Detected("b", 0.8, (0.5, 0.5, 1.0, 1.0))


def row(*values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array([values], np.float32)


@pytest.mark.parametrize(
    ("how", "agreement", "tolerance", "verdict"),
    [
        (Agree.TOP1, 0.9, 0.9, True),
        (Agree.TOP1, 0.8, 0.9, False),
        (Agree.BOXES, 0.5, 0.9, False),
        (Agree.VALUES, 0.1, 0.1, True),
        (Agree.VALUES, 0.2, 0.1, False),
        (Agree.VALUES, float("inf"), 1e9, False),
    ],
)
def test_the_manifest_says_what_is_good_enough(how: Agree, agreement: float, tolerance: float, verdict: bool) -> None:
    assert agrees(how, agreement, tolerance) is verdict


def test_top1_is_the_fraction_of_vectors() -> None:
    assert top1_agreement([row(1, 2), row(2, 1)], [row(3, 9), row(0, 1)]) == 0.5


def test_values_are_compared_by_the_largest_difference() -> None:
    assert values_agreement([row(1, 2), row(0)], [row(1, 2.5), row(-2)]) == 2.0


def test_what_is_not_a_number_never_agrees() -> None:
    assert values_agreement([row(1)], [row(float("nan"))]) == float("inf")


def test_boxes_that_moved_overlap_less() -> None:
    moved = Detected("a", 0.9, (0.0, 0.0, 0.5, 0.25))
    assert boxes_agreement([[A, B]], [[B, moved]]) == pytest.approx(0.5)


def test_a_missing_box_is_no_overlap() -> None:
    assert boxes_agreement([[A, B]], [[A]]) == 0.0


def test_a_box_of_another_label_is_no_match() -> None:
    assert boxes_agreement([[A]], [[Detected("b", 0.9, A.box)]]) == 0.0


def test_one_box_cannot_match_two_golden_ones() -> None:
    assert boxes_agreement([[A, A]], [[A]]) == 0.0


def test_no_golden_boxes_agree_with_anything() -> None:
    assert boxes_agreement([[], []], [[A], []]) == 1.0


@pytest.mark.parametrize(("percent", "expected"), [(50, 5), (95, 10), (99, 10), (100, 10), (10, 1), (0, 1)])
def test_percentiles_are_of_the_nearest_rank(percent: float, expected: int) -> None:
    assert percentile([3, 1, 2, 10, 9, 8, 7, 6, 5, 4], percent) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 95) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0, 100), st.floats(0, 100))
def test_percentiles_rise(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert min(values) <= percentile(values, low) <= percentile(values, high) <= max(values)
