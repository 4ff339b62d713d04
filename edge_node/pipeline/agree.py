"""Whether a device's outputs agree with golden ones: the measures of `protos.bundle.Agree`, decided from arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_node.pipeline.nms import iou
from protos.bundle import Agree
from protos.result import Detected

Floats = NDArray[np.float32]


def agrees(how: Agree, agreement: float, tolerance: float) -> bool:
    """Whether a measured agreement is good enough."""
    return agreement <= tolerance if how is Agree.VALUES else agreement >= tolerance


def top1_agreement(expected: Sequence[Floats], actual: Sequence[Floats]) -> float:
    """The fraction of score vectors whose best class is the golden one."""
    same = [int(want.argmax()) == int(have.argmax()) for want, have in zip(expected, actual, strict=True)]
    return sum(same) / len(same)


def values_agreement(expected: Sequence[Floats], actual: Sequence[Floats]) -> float:
    """The largest absolute difference of any value; infinite where one is not a number."""
    largest = max(float(np.max(np.abs(want - have), initial=0.0)) for want, have in zip(expected, actual, strict=True))
    return largest if np.isfinite(largest) else float("inf")


def boxes_agreement(expected: Sequence[Sequence[Detected]], actual: Sequence[Sequence[Detected]]) -> float:
    """The least intersection over union of a golden box with its match, over all vectors; 1 where there are no boxes.

    A match has the same label and serves one golden box only; the best golden boxes choose first.
    """
    overlaps = [one for want, have in zip(expected, actual, strict=True) for one in _overlaps(want, have)]
    return min(overlaps, default=1.0)


def _overlaps(expected: Sequence[Detected], actual: Sequence[Detected]) -> list[float]:
    left = list(actual)
    found = []
    for want in expected:
        candidates = [have for have in left if have.label == want.label]
        overlap = iou(_array(want.box), np.stack([_array(have.box) for have in candidates])) if candidates else None
        if overlap is None:
            found.append(0.0)
            continue
        best = int(overlap.argmax())
        found.append(float(overlap[best]))
        left.remove(candidates[best])
    return found


def _array(box: tuple[float, float, float, float]) -> Floats:
    return np.array(box, np.float32)
