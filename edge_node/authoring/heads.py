"""What a model's outputs mean, as far as their shapes say it. Pure.

Shapes of common heads: [1, classes] is a classification; [1, n, 4] beside [1, n, classes] are boxes and scores;
one [1, 4 + classes, n] is the head of YOLO without anchors; [1, n, 4], [1, n], [1, n] and [1] are TFLite's detection
post-processing; the shape of the input again is a reconstruction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput
from protos.bundle import Output, Task

Head = Literal["boxes_scores", "yolo", "tflite_ssd"]


@dataclass(frozen=True)
class OutputAnswers:
    """What the author said of the outputs; None: nothing. `label_lines` are the lines of the label file."""

    task: Task | None = None
    labels: str | None = None
    label_lines: tuple[str, ...] = ()
    top_k: int = 3
    activation: Literal["none", "softmax", "sigmoid"] | None = None
    background: int | None = None
    no_background: bool = False
    score_threshold: float | None = None
    iou_threshold: float | None = None
    threshold: float | None = None


def draft_outputs(
    measured: TensorSpec, kind: str, outputs: Sequence[TensorSpec], answers: OutputAnswers
) -> tuple[Task, tuple[Output, ...]]:
    """The task and the manifest's outputs.

    Args:
        measured: the input that a source fills.
        kind: what it is.
        outputs: the model's, without those that are states.

    Raises:
        BadInput: the task cannot be known; names the option that says it.
    """
    task = answers.task or guessed_task(measured, kind, outputs)
    if task is None:
        shapes = ", ".join(f"{spec.name} {shape_text(spec.shape)}" for spec in outputs)
        raise BadInput(f"the outputs ({shapes}) do not say what they mean: --task {' | '.join(sorted(_DRAFTS))}")
    if task not in _DRAFTS:
        raise BadInput(f"the task {task} has no postprocessing yet: use --task tensor to get the raw values")
    return task, _DRAFTS[task](outputs, answers)


def guessed_task(measured: TensorSpec, kind: str, outputs: Sequence[TensorSpec]) -> Task | None:
    """What the shapes of the outputs say the model does; None: nothing certain."""
    if detection_head(outputs) is not None:
        return Task.DETECTION
    if len(outputs) != 1:
        return None
    if kind != "image" and outputs[0].shape == measured.shape:
        return Task.ANOMALY
    if kind == "image" and _flat_width(outputs[0]) > 1:
        return Task.CLASSIFICATION
    return None


def detection_head(outputs: Sequence[TensorSpec]) -> Head | None:
    """The detection head that the outputs have the shapes of."""
    ranks = sorted(len(spec.shape) for spec in outputs)
    if len(outputs) == 4 and any(_is_boxes(spec) for spec in outputs) and ranks in ([1, 2, 2, 3], [2, 2, 2, 3]):
        return "tflite_ssd"
    if len(outputs) == 2 and boxes_and_scores(outputs) is not None:
        return "boxes_scores"
    if len(outputs) == 1 and _is_yolo(outputs[0].shape):
        return "yolo"
    return None


def boxes_and_scores(outputs: Sequence[TensorSpec]) -> tuple[TensorSpec, TensorSpec] | None:
    """The tensor of boxes and that of scores among two; None: they are not such."""
    if any(len(spec.shape) != 3 for spec in outputs) or outputs[0].shape[1] != outputs[1].shape[1]:
        return None
    by_name = sorted(outputs, key=lambda spec: ("box" not in spec.name.lower(), not _is_boxes(spec)))
    boxes, scores = by_name if _is_boxes(by_name[0]) else reversed(by_name)
    return (boxes, scores) if _is_boxes(boxes) else None


def activation_of(values: NDArray[np.float32]) -> Literal["none", "softmax"]:
    """Whether real outputs of a classifier are already scores 0..1, or logits that want a softmax."""
    rounding = 1e-3
    scores = values.size == 0 or bool(np.min(values) >= -rounding and np.max(values) <= 1 + rounding)
    return "none" if scores else "softmax"


def background_of(classes: int | None, answers: OutputAnswers) -> int | None:
    """The class index that is no object.

    Raises:
        BadInput: neither the label file nor an option says it.
    """
    if answers.background is not None or answers.no_background or classes is None or classes == 1:
        return answers.background
    lines = answers.label_lines
    if len(lines) == classes:
        return 0 if lines[0].strip().lower() in ("background", "???") else None
    if len(lines) == classes - 1:
        return 0
    raise BadInput(
        f"the detector gives {classes} classes: say --background 0 where the first is no object, --background none "
        f"where all are, or give --labels with {classes} lines"
    )


def _classification(outputs: Sequence[TensorSpec], answers: OutputAnswers) -> tuple[Output, ...]:
    top_k = min(answers.top_k, max(_flat_width(outputs[0]), 1))
    return (
        Output(decode="classification", labels=answers.labels, top_k=top_k, activation=answers.activation or "none"),
    )


def _detection(outputs: Sequence[TensorSpec], answers: OutputAnswers) -> tuple[Output, ...]:
    head = detection_head(outputs)
    if head is None:
        shapes = ", ".join(shape_text(spec.shape) for spec in outputs)
        raise BadInput(f"outputs {shapes} are no detection head that is known: use --task tensor for the raw values")
    pair = boxes_and_scores(outputs) if head == "boxes_scores" else None
    output = Output(
        decode="detection",
        head=head,
        labels=answers.labels,
        boxes=pair[0].name if pair else None,
        scores=pair[1].name if pair else None,
        background=background_of(pair[1].shape[2], answers) if pair else answers.background,
        score_threshold=0.5 if answers.score_threshold is None else answers.score_threshold,
        iou_threshold=0.5 if answers.iou_threshold is None else answers.iou_threshold,
    )
    return (output,)


def _anomaly(outputs: Sequence[TensorSpec], answers: OutputAnswers) -> tuple[Output, ...]:
    if len(outputs) != 1:
        raise BadInput(f"an anomaly model gives one output, this one gives {len(outputs)}")
    return (Output(decode="anomaly", threshold=answers.threshold),)


def _tensor(outputs: Sequence[TensorSpec], answers: OutputAnswers) -> tuple[Output, ...]:
    del answers
    return tuple(Output(decode="tensor") for _ in outputs)


_DRAFTS = {
    Task.CLASSIFICATION: _classification,
    Task.DETECTION: _detection,
    Task.ANOMALY: _anomaly,
    Task.TENSOR: _tensor,
}


def _flat_width(spec: TensorSpec) -> int:
    """The length of a vector of scores, 0 where the shape is not one: all axes but one are 1."""
    wide = [axis for axis in spec.shape[1:] if axis != 1]
    return wide[0] if len(wide) == 1 and wide[0] is not None else 0


def _is_boxes(spec: TensorSpec) -> bool:
    return len(spec.shape) == 3 and spec.shape[2] == 4


def _is_yolo(shape: tuple[int | None, ...]) -> bool:
    if len(shape) != 3 or shape[1] is None or shape[1] < 5:
        return False
    return shape[2] is None or shape[2] > shape[1]
