"""What a model's inputs are, as far as its file says it: pictures by their shape, states by the output that feeds them.

Pure. What cannot be known is asked for, by the name of the option that answers it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from edge_node.engine.base import TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput
from protos.bundle import Input

Kind = Literal["image", "audio", "series", "tensor"]

_CHANNELS = {1: "grey", 3: "rgb"}


@dataclass(frozen=True)
class InputAnswers:
    """What the author said of the inputs; None: nothing. `constants` are values by input name."""

    kind: Kind | None = None
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    resize: Literal["nearest", "bilinear", "bicubic", "box", "lanczos"] = "bilinear"
    color: Literal["rgb", "bgr", "grey"] | None = None
    layout: Literal["auto", "nhwc", "nchw"] = "auto"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    rate: int | None = None
    window: int | None = None
    context: int = 0
    stride: int | None = None
    features: int | None = None
    constants: Mapping[str, float] = field(default_factory=dict)


def draft_inputs(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], answers: InputAnswers
) -> tuple[Input, ...]:
    """The manifest's inputs, one per tensor of the model; names only where there are several.

    Raises:
        BadInput: what a tensor is cannot be known from the file; names the option that says it.
    """
    if len(inputs) == 1:
        return (_measured(inputs[0], answers),)
    return tuple(msgspec.structs.replace(_one_of_many(spec, outputs, answers), name=spec.name) for spec in inputs)


def state_output(spec: TensorSpec, outputs: Sequence[TensorSpec]) -> str | None:
    """The output that becomes this input in the next step: of the same shape and type, its name built on this one's."""
    stem = spec.name.lower().removesuffix("_in").removesuffix("in")
    for output in outputs:
        same = _may_equal(output.shape, spec.shape) and output.dtype == spec.dtype
        if same and stem and output.name.lower().startswith(stem):
            return output.name
    return None


def is_image(spec: TensorSpec) -> bool:
    """Whether the shape is that of one picture, [1, h, w, c] or [1, c, h, w]."""
    return len(spec.shape) == 4 and channels(spec) is not None


def channels(spec: TensorSpec) -> int | None:
    """The number of colour channels of a picture's shape; None: it is not one."""
    if len(spec.shape) != 4:
        return None
    return next((axis for axis in (spec.shape[3], spec.shape[1]) if axis in _CHANNELS), None)


def _one_of_many(spec: TensorSpec, outputs: Sequence[TensorSpec], answers: InputAnswers) -> Input:
    if spec.name in answers.constants:
        return Input(kind="constant", value=answers.constants[spec.name])
    source = state_output(spec, outputs)
    if source is not None:
        return Input(kind="state", source=source)
    if len(spec.shape) == 0 or spec.shape == (1,):
        raise BadInput(f"the input {spec.name!r} is one {spec.dtype}: say its value: --constant {spec.name}=VALUE")
    return _measured(spec, answers)


def _measured(spec: TensorSpec, answers: InputAnswers) -> Input:
    """The input that a source fills."""
    kind = answers.kind or ("image" if is_image(spec) else None)
    if kind is None:
        raise BadInput(
            f"the input {spec.name!r} is {spec.dtype} {shape_text(spec.shape)}: say what it is: --kind image | audio | "
            "series | tensor"
        )
    return {"image": _image, "audio": _audio, "series": _series, "tensor": _tensor}[kind](spec, answers)


def _image(spec: TensorSpec, answers: InputAnswers) -> Input:
    unscaled = spec.dtype.startswith("float") and answers.mean is None and answers.std is None
    if unscaled:
        raise BadInput(
            f"the input {spec.name!r} is {spec.dtype} and the file does not say how pixels become its values: "
            "--mean 0 --std 255 for 0..1, --mean 127.5 --std 127.5 for -1..1, --mean 0 --std 1 for 0..255"
        )
    color = answers.color or _CHANNELS.get(channels(spec) or 1, "rgb")
    return msgspec.convert(
        {
            "kind": "image",
            "fit": answers.fit,
            "resize": answers.resize,
            "color": color,
            "layout": answers.layout,
            "mean": answers.mean,
            "std": answers.std,
        },
        Input,
    )


def _audio(spec: TensorSpec, answers: InputAnswers) -> Input:
    width = spec.shape[-1] if spec.shape else None
    window = answers.window or (width - answers.context if width else None)
    if answers.rate is None or window is None:
        raise BadInput(f"the input {spec.name!r} is audio: say --rate in Hz and --window in samples")
    if width is not None and width != window + answers.context:
        raise BadInput(
            f"the input {spec.name!r} takes {width} samples, not --window {window} and --context {answers.context}"
        )
    return Input(kind="audio", rate=answers.rate, window=window, context=answers.context)


def _series(spec: TensorSpec, answers: InputAnswers) -> Input:
    if answers.window is None:
        raise BadInput(f"the input {spec.name!r} is a series: say --window, the rows of one step")
    size = elements(spec)
    features = answers.features or (size // answers.window if size else None)
    if features is None or (size is not None and size != answers.window * features):
        raise BadInput(
            f"the input {spec.name!r} takes {shape_text(spec.shape)}, not --window {answers.window} rows of "
            f"--features {features or '?'}"
        )
    return Input(kind="series", window=answers.window, stride=answers.stride, features=features)


def _tensor(spec: TensorSpec, answers: InputAnswers) -> Input:
    del spec, answers
    return Input(kind="tensor")


def _may_equal(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> bool:
    """Whether two shapes can be the same; None stands for any length."""
    return len(one) == len(other) and all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def elements(spec: TensorSpec) -> int | None:
    """How many values the tensor has; None where an axis other than the first is dynamic."""
    size = 1
    for position, axis in enumerate(spec.shape):
        if axis is None and position > 0:
            return None
        size *= axis or 1
    return size
