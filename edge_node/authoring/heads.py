"""The manifest's outputs: what the shapes say (`pipeline.manifest` guesses it), and the author's answers to the rest.

Pure. What neither says is asked for, by the name of the option that answers it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import WrongUsage
from protos.bundle import Manifest, Output, Task

DECODED = (Task.CLASSIFICATION, Task.DETECTION, Task.ANOMALY, Task.TENSOR)
"""The tasks that have a postprocessing."""


@dataclass(frozen=True)
class OutputAnswers:
    """What the author said of the outputs; None: nothing. `label_lines` are the lines of the label file."""

    task: Task | None = None
    labels: str | None = None
    label_lines: tuple[str, ...] = ()
    head: Literal["boxes_scores", "yolo", "tflite_ssd"] | None = None
    top_k: int | None = None
    activation: Literal["none", "softmax", "sigmoid"] | None = None
    background: int | Literal["none"] | None = None
    score_threshold: float | None = None
    iou_threshold: float | None = None
    threshold: float | None = None


def answered_outputs(
    guess: Manifest, results: Sequence[TensorSpec], answers: OutputAnswers
) -> tuple[Task, tuple[Output, ...]]:
    """The task and the manifest's outputs.

    Args:
        guess: what the shapes say.
        results: the model's outputs without those that are states.
        answers: the author's.

    Raises:
        WrongUsage: the task cannot be known; names the option that says it.
    """
    if answers.task is None and guess.task is Task.TENSOR:
        shapes = ", ".join(f"{spec.name} {shape_text(spec.shape)}" for spec in results)
        raise WrongUsage(f"the outputs ({shapes}) do not say what they mean: --task {' | '.join(DECODED)}")
    task = answers.task or guess.task
    if task not in DECODED:
        raise WrongUsage(f"the task {task} has no postprocessing yet: use --task tensor to get the raw values")
    if task is Task.TENSOR:
        several = len(results) > 1
        return task, tuple(Output(decode="tensor", name=spec.name if several else None) for spec in results)
    output = guess.outputs[0] if task is guess.task else msgspec.convert({"decode": task.value}, Output)
    return task, (_answered(output, guess, results, answers),)


def activation_of(values: NDArray[np.float32]) -> Literal["none", "softmax"]:
    """Whether real outputs of a classifier are already scores 0..1, or logits that want a softmax."""
    rounding = 1e-3
    scores = values.size == 0 or bool(np.min(values) >= -rounding and np.max(values) <= 1 + rounding)
    return "none" if scores else "softmax"


def background_of(classes: int, answers: OutputAnswers) -> int | None:
    """The class index that is no object.

    Raises:
        WrongUsage: neither the label file nor an option says it.
    """
    if answers.background is not None:
        return None if answers.background == "none" else answers.background
    lines = answers.label_lines
    if len(lines) == classes:
        return 0 if lines[0].lower() in ("background", "???") else None
    if len(lines) == classes - 1:
        return 0 if lines else None
    raise WrongUsage(
        f"the detector gives {classes} classes: say --background 0 where the first is no object, --background none "
        f"where all are, or give --labels with {classes} lines"
    )


def _answered(output: Output, guess: Manifest, results: Sequence[TensorSpec], answers: OutputAnswers) -> Output:
    """One output with what the author said of it."""
    keys = {
        "classification": ("labels", "top_k", "activation"),
        "detection": ("labels", "head", "activation", "score_threshold", "iou_threshold"),
        "anomaly": ("threshold",),
    }[output.decode]
    said = {key: getattr(answers, key) for key in keys}
    output = msgspec.structs.replace(output, **{key: value for key, value in said.items() if value is not None})
    if output.decode != "detection":
        return output
    if guess.task is not Task.DETECTION and answers.head is None:
        shapes = ", ".join(shape_text(spec.shape) for spec in results)
        raise WrongUsage(f"outputs {shapes} are no detection head that is known: say --head, or use --task tensor")
    return msgspec.structs.replace(output, background=_background(output.head, results, answers))


def _background(head: str, results: Sequence[TensorSpec], answers: OutputAnswers) -> int | None:
    widths = [spec.shape[-1] for spec in results if spec.shape and spec.shape[-1] != 4]
    if head == "boxes_scores" and len(widths) == 1 and widths[0] is not None:
        return background_of(widths[0], answers)
    return None if answers.background == "none" else answers.background
