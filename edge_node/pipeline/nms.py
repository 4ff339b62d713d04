"""Non-maximum suppression: of boxes that overlap, the best stays. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.intp]

CANDIDATES = 2048
"""At most this many boxes, the best, are compared: a frame full of noise costs milliseconds, not seconds."""


def suppress(boxes: Floats, scores: Floats, classes: Integers, *, iou_threshold: float, limit: int) -> Integers:
    """Positions of the boxes that stay, best score first.

    Args:
        boxes: [n, 4], corners.
        scores: [n].
        classes: [n]; boxes of different classes never suppress each other.
        iou_threshold: a box that overlaps a better one by more than this is suppressed.
        limit: at most this many stay.
    """
    order = np.argsort(-scores, kind="stable")[:CANDIDATES]
    corners, labels = np.ascontiguousarray(boxes[order].T), classes[order]
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    while alive.any() and len(kept) < limit:
        best = int(alive.argmax())  # the first: the best that is left
        kept.append(best)
        alive &= (_overlaps(corners, best) <= iou_threshold) | (labels != labels[best])
        alive[best] = False
    return order[kept]


def _overlaps(corners: Floats, best: int) -> Floats:
    """Intersection over union of one box with each; corners are [4, n], which numpy reads in long rows."""
    left, top, right, bottom = corners
    inner = np.maximum(np.minimum(right, right[best]) - np.maximum(left, left[best]), 0)
    inner *= np.maximum(np.minimum(bottom, bottom[best]) - np.maximum(top, top[best]), 0)
    areas = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    union = areas + areas[best] - inner
    return np.asarray(np.divide(inner, union, out=np.zeros_like(inner), where=union > 0), np.float32)


def iou(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box [4] with each of [n, 4]; 0 where both are empty."""
    return _overlaps(np.concatenate([box[None], boxes]).T, 0)[1:]
