"""Non-maximum suppression."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_node.pipeline.nms import iou, suppress

BOX = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 0.5), st.floats(0.01, 0.5)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
Found = tuple[tuple[float, ...], int, int]
"""A box, its score, its class."""
FOUND = st.lists(st.tuples(BOX, st.integers(0, 100), st.integers(0, 2)), max_size=30)


def kept(found: Sequence[Found], iou_threshold: float = 0.5, limit: int = 100) -> list[int]:
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in found], np.float32)
    classes = np.array([number for _, _, number in found], np.intp)
    return [int(one) for one in suppress(boxes, scores, classes, iou_threshold=iou_threshold, limit=limit)]


def test_of_two_that_overlap_the_better_stays() -> None:
    assert kept([((0, 0, 1, 1), 5, 0), ((0, 0, 1, 0.9), 9, 0), ((0.8, 0.8, 1, 1), 1, 0)]) == [1, 2]


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    assert kept([((0, 0, 1, 1), 5, 0), ((0, 0, 1, 1), 9, 1)]) == [1, 0]


def test_no_more_than_the_limit_stay() -> None:
    apart = [((i / 10, 0.0, i / 10 + 0.05, 1.0), i, 0) for i in range(10)]
    assert kept(apart, limit=3) == [9, 8, 7]


def test_overlap_is_the_shared_part_of_the_union() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(iou(boxes[0], boxes), [1, 1 / 7, 0, 0], rtol=1e-6)


def test_empty_boxes_overlap_nothing() -> None:
    nothing = np.zeros((2, 4), np.float32)
    np.testing.assert_array_equal(iou(nothing[0], nothing), [0, 0])


@given(FOUND, st.floats(0.1, 0.9))
def test_it_keeps_what_the_plain_algorithm_keeps(found: list[Found], threshold: float) -> None:
    """Greedy, one box at a time, written as the textbook has it."""
    order = sorted(range(len(found)), key=lambda i: -found[i][1])
    expected: list[int] = []
    for i in order:
        rivals = [j for j in expected if found[j][2] == found[i][2]]
        mine = np.array(found[i][0], np.float32)
        if all(iou(np.array(found[j][0], np.float32), mine[None])[0] <= np.float32(threshold) for j in rivals):
            expected.append(i)
    assert kept(found, float(np.float32(threshold))) == expected
