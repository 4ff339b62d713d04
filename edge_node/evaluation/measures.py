"""Measures of answers against what is true: accuracy, average precision, area under the ROC curve. Pure.

A sample without an answer counts as answered wrongly.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from edge_node.evaluation.dataset import Box
from edge_node.pipeline.nms import iou
from protos.bundle import Task
from protos.evaluation import ClassScore

MATCHES_AT = 0.5
"""The overlap (IoU) from which on a box is the same."""
ANOMALOUS = frozenset({"anomalous", "anomaly", "abnormal", "1"})
"""The labels of samples that an anomaly model should find."""

Found = tuple[str, float, Box]
"""label, score, box"""


class Case(msgspec.Struct, frozen=True, array_like=True):
    """One sample: what it shows, and what a variant answered in how many milliseconds."""

    file: str
    groups: dict[str, str]
    latency_ms: float
    label: str = ""
    boxes: tuple[tuple[str, Box], ...] = ()
    answered: str | None = None
    """the best label, None: no answer"""
    score: float = 0.0
    """of the best label; of an anomaly model its error"""
    found: tuple[Found, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Measure:
    """A measure: its name, its value for samples, and the same class by class."""

    name: Literal["accuracy", "ap50", "auroc"]
    of: Callable[[Sequence[Case]], float]
    by_class: Callable[[Sequence[Case]], tuple[ClassScore, ...]]


def accuracy(cases: Sequence[Case]) -> float:
    """The share of samples whose best label is theirs."""
    return sum(one.answered == one.label for one in cases) / len(cases) if cases else 0.0


def accuracy_by_class(cases: Sequence[Case]) -> tuple[ClassScore, ...]:
    """Precision and recall of each label that a sample has, by label."""
    support = Counter(one.label for one in cases)
    called = Counter(one.answered for one in cases)
    right = Counter(one.label for one in cases if one.answered == one.label)
    return tuple(
        ClassScore(
            label,
            support[label],
            precision=right[label] / called[label] if called[label] else 0.0,
            recall=right[label] / support[label],
            value=right[label] / support[label],
        )
        for label in sorted(support)
    )


def ap50(cases: Sequence[Case]) -> float:
    """The mean of the classes' average precision."""
    classes = ap50_by_class(cases)
    return sum(one.value for one in classes) / len(classes) if classes else 0.0


def ap50_by_class(cases: Sequence[Case]) -> tuple[ClassScore, ...]:
    """Average precision of each label that a box has.

    The area below the precision made monotone, over all points, as the VOC challenge computes it since 2010
    (Everingham et al., devkit documentation, section 3.4.1).
    """
    labels = sorted({label for one in cases for label, _ in one.boxes})
    return tuple(_ap_of(label, cases) for label in labels)


def _ap_of(label: str, cases: Sequence[Case]) -> ClassScore:
    support = sum(named == label for one in cases for named, _ in one.boxes)
    hits = sorted((hit for one in cases for hit in _hits(label, one)), key=lambda hit: -hit[0])
    right = np.cumsum([matched for _, matched in hits]) if hits else np.zeros(0)
    recall, precision = right / support, right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate(([0.0], recall)))
    return ClassScore(
        label,
        support,
        precision=float(precision[-1]) if hits else 0.0,
        recall=float(recall[-1]) if hits else 0.0,
        value=float(np.sum(steps * envelope)),
    )


def _hits(label: str, case: Case) -> list[tuple[float, bool]]:
    """Of each box that was found: its score, and whether it is one that is there. The best choose first, each once."""
    left = [box for named, box in case.boxes if named == label]
    hits = []
    for _, score, box in sorted((one for one in case.found if one[0] == label), key=lambda one: -one[1]):
        overlaps = iou(np.array(box, np.float32), np.array(left, np.float32)) if left else np.zeros(0)
        best = int(overlaps.argmax()) if left else -1
        matched = bool(left) and float(overlaps[best]) >= MATCHES_AT
        if matched:
            left.pop(best)
        hits.append((score, matched))
    return hits


def auroc(cases: Sequence[Case]) -> float:
    """How often an anomalous sample has a greater error than a normal one; ties count half (Mann and Whitney's U)."""
    bad = [one.score for one in cases if one.label.lower() in ANOMALOUS]
    good = np.sort([one.score for one in cases if one.label.lower() not in ANOMALOUS])
    if not bad or not len(good):
        return 0.0
    below, up_to = np.searchsorted(good, bad, "left"), np.searchsorted(good, bad, "right")
    return float(np.sum(below + up_to) / 2 / len(bad) / len(good))


MEASURES: Mapping[Task, Measure] = {
    Task.CLASSIFICATION: Measure("accuracy", accuracy, accuracy_by_class),
    Task.DETECTION: Measure("ap50", ap50, ap50_by_class),
    Task.ANOMALY: Measure("auroc", auroc, lambda _: ()),
}


def confusions(cases: Sequence[Case], most: int = 20) -> tuple[tuple[str, str, int], ...]:
    """Which labels are most often taken for which others: (label, answered, how often)."""
    wrong = Counter((one.label, one.answered or "no answer") for one in cases if one.answered != one.label)
    return tuple((label, answered, count) for (label, answered), count in wrong.most_common(most))
