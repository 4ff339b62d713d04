"""How near two versions' answers to the same frame are. Pure, without numpy: answers meet in the agent.

Answers are an observation's `outputs`: builtins in the form of the task's struct in `protos.result`. Every comparison
is symmetric, and an answer agrees with itself at distance 0.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MATCHED_IOU = 0.5
"""Boxes of one label match from this intersection over union on (PASCAL VOC's threshold)."""
TENSOR_TOLERANCE = 0.01
"""Tensors agree up to this share of their largest value, as mean absolute difference."""

MOST_BOXES = 100
"""of an answer that are compared, the first (COCO's evaluation takes as many)"""
MOST_VALUES = 1024
"""of a tensor that are looked at, evenly spread: the agent has better to do"""

Outputs = Sequence[Any]
Box = Sequence[float]


@dataclass(frozen=True)
class Comparison:
    """Whether two answers say the same, and how far they are apart: 0 for equal ones."""

    agreed: bool
    distance: float


DIFFERENT = Comparison(agreed=False, distance=1.0)
"""answers that cannot be told apart by measure: of other tasks or shapes, or with values that are no numbers"""


def compare(task: str, one: Outputs, other: Outputs) -> Comparison:
    """Two answers of a task to the same frame."""
    found = _MEASURES[task](one, other) if task in _MEASURES else DIFFERENT
    return found if math.isfinite(found.distance) else DIFFERENT


def matches(one: Outputs, other: Outputs) -> list[tuple[int, int, float]]:
    """Pairs of detections of the same label with their overlap, from `MATCHED_IOU` on; each box in one pair at most.

    Greedy: the pairs that overlap most come first; of equal ones those of the lowest boxes, whichever side is first.
    """
    candidates = [pair for pair in _overlaps(one, other) if pair[0] >= MATCHED_IOU]
    candidates.sort(key=lambda pair: (-pair[0], min(pair[1:]), max(pair[1:])))
    taken_one, taken_other, found = set[int](), set[int](), list[tuple[int, int, float]]()
    for overlap, i, j in candidates:
        if i not in taken_one and j not in taken_other:
            taken_one.add(i)
            taken_other.add(j)
            found.append((i, j, overlap))
    return found


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes `[x_min, y_min, x_max, y_max]`; 1 of equal ones, also of empty ones."""
    if one == other:
        return 1.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    inner = max(width, 0.0) * max(height, 0.0)
    union = _area(one) + _area(other) - inner
    return inner / union if union > 0 else 0.0


def _overlaps(one: Outputs, other: Outputs) -> Iterator[tuple[float, int, int]]:
    """Of every two boxes of the same label that have a column in common: their overlap and their places."""
    placed = [(theirs["label"], tuple(theirs["box"]), j) for j, theirs in enumerate(other)]
    for i, mine in enumerate(one):
        label, box = mine["label"], tuple(mine["box"])
        left, right = box[0], box[2]
        for known, theirs, j in placed:
            if known == label and theirs[0] <= right and left <= theirs[2]:
                yield iou(box, theirs), i, j


def _classes(one: Outputs, other: Outputs) -> Comparison:
    """The same best label; the distance is that of its two best scores, or 1 where the labels differ."""
    if not one or not other:
        return Comparison(agreed=not one and not other, distance=0.0 if not one and not other else 1.0)
    if one[0]["label"] != other[0]["label"]:
        return DIFFERENT
    return Comparison(agreed=True, distance=abs(one[0]["score"] - other[0]["score"]))


def _boxes(one: Outputs, other: Outputs) -> Comparison:
    """Every box has its match; the distance is 1 - the mean overlap, where a box without a match overlaps by 0."""
    one, other = one[:MOST_BOXES], other[:MOST_BOXES]
    found = matches(one, other)
    most = len(one) + len(other) - len(found)
    distance = 1.0 - math.fsum(overlap for _, _, overlap in found) / most if most else 0.0
    return Comparison(agreed=len(found) == most, distance=distance)


def _anomalies(one: Outputs, other: Outputs) -> Comparison:
    """The same verdict; the distance is the difference of the scores."""
    if len(one) != 1 or len(other) != 1:
        return Comparison(agreed=not one and not other, distance=0.0 if not one and not other else 1.0)
    mine, theirs = one[0], other[0]
    return Comparison(mine.get("anomalous") == theirs.get("anomalous"), abs(mine["score"] - theirs["score"]))


def _tensors(one: Outputs, other: Outputs) -> Comparison:
    """Tensors of the same shapes in the same order, within the tolerance; the distance is the mean of theirs."""
    shapes = [[tuple(tensor["shape"]) for tensor in side] for side in (one, other)]
    sizes = [[len(tensor["values"]) for tensor in side] for side in (one, other)]
    if shapes[0] != shapes[1] or sizes[0] != sizes[1]:
        return DIFFERENT
    pairs = [(_thinned(mine["values"]), _thinned(theirs["values"])) for mine, theirs in zip(one, other, strict=True)]
    apart = [_mean_difference(mine, theirs) for mine, theirs in pairs]
    scales = [max(map(abs, (*mine, *theirs)), default=0.0) for mine, theirs in pairs]
    agreed = all(each <= TENSOR_TOLERANCE * scale for each, scale in zip(apart, scales, strict=True))
    return Comparison(agreed, math.fsum(apart) / len(apart) if apart else 0.0)


_MEASURES: Mapping[str, Callable[[Outputs, Outputs], Comparison]] = {
    "classification": _classes,
    "detection": _boxes,
    "anomaly": _anomalies,
    "tensor": _tensors,
}


def _thinned(values: Sequence[float]) -> Sequence[float]:
    return values[:: -(-len(values) // MOST_VALUES) or 1]


def _mean_difference(one: Sequence[float], other: Sequence[float]) -> float:
    apart = [abs(mine - theirs) for mine, theirs in zip(one, other, strict=True)]
    return math.fsum(apart) / len(apart) if apart else 0.0


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
