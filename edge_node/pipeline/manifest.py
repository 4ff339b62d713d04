"""The manifest that a raw model file gets: guessed from names, shapes and types alone.

What cannot be known (mean and std, colour order, thresholds) keeps its default; `model.toml` states it better.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal, cast

from edge_node.engine.base import TensorSpec
from edge_node.pipeline.layout import CHANNELS
from protos.bundle import Input, Manifest, Output, Task, Variant
from protos.identity import is_name

SMALLEST_IMAGE = 8
"""Pixels: tensors smaller than this in width or height are not taken for images."""
SAMPLE_RATES = ("sr", "sample_rate", "sampling_rate")
RATE = 16000.0

EngineName = Literal["litert", "onnxruntime", "stub"]
Head = Literal["boxes_scores", "yolo", "tflite_ssd"]


def manifest_for(
    file: str, engine: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], labels: str | None = None
) -> Manifest:
    """The manifest of one file.

    Args:
        file: its name.
        engine: the engine that runs it.
        inputs: its input tensors.
        outputs: its output tensors.
        labels: the name of a label file, for the output that it fits.
    """
    given = tuple(_input(spec, outputs) for spec in inputs)
    states = {one.source for one in given if one.kind == "state"}
    answers = [spec for spec in outputs if spec.name not in states]
    output = _output(given, inputs, answers, labels)
    return Manifest(
        name_of(file),
        Task(output.decode),
        (Variant(file, cast("EngineName", engine)),),
        inputs=given,
        outputs=(output,),
    )


def name_of(file: str) -> str:
    """A name in the grammar of names, from a file's stem."""
    text = re.sub(r"[^a-z0-9.-]+", "-", PurePosixPath(file).stem.lower())[:63].strip("-._")
    return text if is_name(text) else "model"


def _input(spec: TensorSpec, outputs: Sequence[TensorSpec]) -> Input:
    source = _state_source(spec, outputs)
    if source is not None:
        return Input(name=spec.name, kind="state", source=source)
    if not spec.shape and spec.name.lower() in SAMPLE_RATES:
        return Input(name=spec.name, kind="constant", value=RATE)
    channels = _image_channels(spec)
    if channels is not None:
        return Input(name=spec.name, kind="image", color="grey" if channels == 1 else "rgb")
    return Input(name=spec.name)


def _state_source(spec: TensorSpec, outputs: Sequence[TensorSpec]) -> str | None:
    """The output that is this input one step later: of its name and a suffix (`state`, `stateN`), and of its rank."""
    if len(spec.name) < 2 and spec.name not in ("h", "c"):
        return None
    for output in outputs:
        longer = output.name != spec.name and output.name.lower().startswith(spec.name.lower())
        if longer and len(output.shape) == len(spec.shape) and output.dtype == spec.dtype:
            return output.name
    return None


def _image_channels(spec: TensorSpec) -> int | None:
    """The channels of a tensor that has the shape of an image, or None."""
    shape = spec.shape
    if len(shape) == 4 and shape[0] in (1, None):
        for place, sides in ((3, shape[1:3]), (1, shape[2:4])):
            if shape[place] in CHANNELS and _image_sides(sides):
                return shape[place]
    if len(shape) == 3 and shape[0] in (1, None) and spec.dtype == "uint8" and _image_sides(shape[1:3]):
        return 1
    return None


def _image_sides(sides: Sequence[int | None]) -> bool:
    return all(side is not None and side >= SMALLEST_IMAGE for side in sides)


def _output(
    given: Sequence[Input], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], labels: str | None
) -> Output:
    image = any(one.kind == "image" for one in given)
    head = _detection_head(outputs) if image else None
    if head is not None:
        return Output(decode="detection", head=head, labels=labels)
    if len(outputs) != 1:
        return Output(decode="tensor")
    only = outputs[0]
    if not image and len(inputs) == 1 and only.shape == inputs[0].shape and _size(only) > 1:
        return Output(decode="anomaly")
    if (image or labels is not None) and _size(only) == only.shape[-1] and _size(only) > 1:
        activation: Literal["none", "softmax"] = "none" if _gives_probabilities(only) else "softmax"
        return Output(decode="classification", labels=labels, top_k=3, activation=activation)
    return Output(decode="tensor")


def _detection_head(outputs: Sequence[TensorSpec]) -> Head | None:
    columns = [spec.shape[-1] if len(spec.shape) == 3 else None for spec in outputs]
    if len(outputs) == 4 and columns[0] == 4 and all(len(spec.shape) <= 2 for spec in outputs[1:]):
        return "tflite_ssd"
    if len(outputs) == 2 and columns.count(4) == 1 and None not in columns:
        return "boxes_scores"
    if len(outputs) == 1 and len(outputs[0].shape) == 3:
        _, rows, boxes = outputs[0].shape
        if rows is not None and boxes is not None and 4 < rows < boxes:
            return "yolo"
    return None


def _gives_probabilities(spec: TensorSpec) -> bool:
    """Whether scores are 0..1 already: named so, or quantized to exactly that range."""
    if re.search("softmax|prob|sigmoid", spec.name.lower()):
        return True
    return spec.scale is not None and abs(spec.scale * 256 - 1) < 0.01


def _size(spec: TensorSpec) -> int:
    size = 1
    for axis in spec.shape:
        size *= axis or 1
    return size
