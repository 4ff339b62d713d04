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
    kept: list[int] = []
    while order.size and len(kept) < limit:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        overlap = iou(boxes[best], boxes[rest])
        order = rest[(overlap <= iou_threshold) | (classes[rest] != classes[best])]
    return np.array(kept, np.intp)


def iou(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box [4] with each of [n, 4]; 0 where both are empty."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    inner = np.prod(np.clip(high - low, 0.0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1)
    union = areas + np.prod(np.clip(box[2:] - box[:2], 0.0, None)) - inner
    return np.asarray(np.divide(inner, union, out=np.zeros_like(inner), where=union > 0), np.float32)
