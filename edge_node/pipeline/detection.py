"""From output tensors to boxes: the heads that detectors have, then one way for all of them.

A head gives candidates in the same form: boxes as corners in 0..1 of the model's input, a best score and a class
for each. Threshold, suppression and the way back to the frame follow.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import Array, TensorSpec
from edge_node.errors import BadInput
from edge_node.pipeline.inputs import Prepared
from edge_node.pipeline.nms import suppress
from edge_node.pipeline.placement import Size
from edge_node.pipeline.postprocess import (
    DIGITS,
    Options,
    activate,
    check_labels,
    label_of,
    output_named,
    unsupported_shape,
)
from edge_node.pipeline.tensors import dequantize
from protos.bundle import Output
from protos.result import Detected

Floats = NDArray[np.float32]
Candidates = tuple[Floats, Floats, NDArray[np.intp]]
"""boxes [n, 4], scores [n], classes [n]"""
Head = Callable[[Mapping[str, Array]], Candidates]


class Detection:
    """Boxes of one frame."""

    def __init__(
        self, given: Output, specs: Sequence[TensorSpec], labels: Sequence[str], options: Options, size: Size | None
    ) -> None:
        """Find the head's tensors.

        Args:
            size: of the model's image input; heads in pixels need it.

        Raises:
            BadInput: the outputs are not those of the head, or the labels are not as many as the classes.
        """
        self._given = given
        threshold = options.score_threshold
        self._threshold = given.score_threshold if threshold is None else threshold
        self._head, classes = HEADS[given.head](given, specs, size)
        if classes is not None and (given.background or 0) >= classes:
            raise BadInput(f"model.toml: background {given.background} is no class: the model has {classes}, from 0 on")
        self._labels = _with_background(labels, classes, given.background)
        check_labels(self._labels, classes, given, given.scores or given.head)

    def __call__(self, outputs: Mapping[str, Array], prepared: Prepared) -> tuple[Detected, ...]:
        """The boxes, best first, in 0..1 of the frame (of the input, where there is no placement)."""
        boxes, scores, classes = self._head(outputs)
        likely = np.flatnonzero(scores >= self._threshold)
        boxes, scores, classes = boxes[likely], scores[likely], classes[likely]
        if self._given.head == "tflite_ssd":  # has suppressed already
            kept = np.argsort(-scores, kind="stable")[: self._given.max_boxes]
        else:
            limits = self._given.iou_threshold, self._given.max_boxes
            kept = suppress(boxes, scores, classes, iou_threshold=limits[0], limit=limits[1])
        placement = prepared.placement
        found = boxes[kept] if placement is None else placement.to_frame(boxes[kept])
        return tuple(
            Detected(label_of(self._labels, index), round(score, DIGITS), _corners(box))
            for index, score, box in zip(classes[kept].tolist(), scores[kept].tolist(), found.tolist(), strict=True)
        )


def boxes_scores(given: Output, specs: Sequence[TensorSpec], size: Size | None) -> tuple[Head, int | None]:
    """A tensor of corner boxes [1, n, 4] in 0..1 and one of scores per class [1, n, classes]."""
    del size
    boxes, scores = _boxes_and_scores(given, specs)

    def head(outputs: Mapping[str, Array]) -> Candidates:
        per_class = activate(_rows(dequantize(outputs[scores.name], scores)), given.activation)
        return (_rows(dequantize(outputs[boxes.name], boxes)), *_best_class(per_class, given.background))

    return head, scores.shape[-1]


def yolo(given: Output, specs: Sequence[TensorSpec], size: Size | None) -> tuple[Head, int | None]:
    """One tensor [1, 4 + classes, n]: centre x, centre y, width, height in pixels of the input, then class scores."""
    spec = output_named(given.name, specs)
    if len(spec.shape) != 3 or size is None or (spec.shape[1] or 5) < 5:
        raise unsupported_shape(spec, "[1, 4 + classes, n] of an image model")
    pixels = np.array([size.width, size.height], np.float32)

    def head(outputs: Mapping[str, Array]) -> Candidates:
        rows = dequantize(outputs[spec.name], spec)[0].T
        centre, half = rows[:, :2] / pixels, rows[:, 2:4] / pixels / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        return (boxes, *_best_class(activate(rows[:, 4:], given.activation), given.background))

    return head, None if spec.shape[1] is None else spec.shape[1] - 4


def tflite_ssd(given: Output, specs: Sequence[TensorSpec], size: Size | None) -> tuple[Head, int | None]:
    """TFLite's detection post-processing: boxes [1, n, 4] as y, x, y, x; classes [1, n]; scores [1, n]; count [1]."""
    del given, size
    if len(specs) != 4:
        raise BadInput(f"the head tflite_ssd has four outputs, the model {len(specs)}: set head in model.toml")
    boxes, classes, scores, count = specs

    def head(outputs: Mapping[str, Array]) -> Candidates:
        found = int(outputs[count.name].reshape(-1)[0])
        corners = dequantize(outputs[boxes.name], boxes).reshape(-1, 4)[:found][:, [1, 0, 3, 2]]
        numbers = outputs[classes.name].reshape(-1)[:found].astype(np.intp)
        return corners, dequantize(outputs[scores.name], scores).reshape(-1)[:found], numbers

    return head, None


HEADS: dict[str, Callable[[Output, Sequence[TensorSpec], Size | None], tuple[Head, int | None]]] = {
    "boxes_scores": boxes_scores,
    "yolo": yolo,
    "tflite_ssd": tflite_ssd,
}
"""Each head: from the manifest and the tensors to what reads them, and the number of classes where it is known."""


def _boxes_and_scores(given: Output, specs: Sequence[TensorSpec]) -> tuple[TensorSpec, TensorSpec]:
    """The two tensors, by name, or the one with four columns as the boxes."""
    if given.boxes is not None and given.scores is not None:
        return output_named(given.boxes, specs), output_named(given.scores, specs)
    four = [spec for spec in specs if spec.shape and spec.shape[-1] == 4]
    rest = [spec for spec in specs if spec not in four]
    if len(four) != 1 or len(rest) != 1:
        names = ", ".join(spec.name for spec in specs)
        raise BadInput(f"which outputs are boxes and scores is not clear ({names}): set both names in model.toml")
    return four[0], rest[0]


def _best_class(scores: Floats, background: int | None) -> tuple[Floats, NDArray[np.intp]]:
    """The best score and class of each row; the background is never the best."""
    if background is not None:
        scores = scores.copy()
        scores[:, background] = -np.inf
    classes = scores.argmax(axis=1)
    return np.take_along_axis(scores, classes[:, None], axis=1)[:, 0], classes


def _with_background(labels: Sequence[str], classes: int | None, background: int | None) -> Sequence[str]:
    """Labels with a place for the background where the file leaves it out."""
    if background is None or classes is None or len(labels) != classes - 1:
        return labels
    return (*labels[:background], "background", *labels[background:])


def _rows(values: Floats) -> Floats:
    return values.reshape(-1, values.shape[-1])


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(value, DIGITS) for value in box)
    return left, top, right, bottom
