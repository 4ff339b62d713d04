"""The manifest's inputs: what the shapes say (`pipeline.manifest` guesses it), and the author's answers to the rest.

Pure. What neither says is asked for, by the name of the option that answers it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from edge_node.engine.base import TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import WrongUsage
from protos.bundle import Input

Kind = Literal["image", "audio", "series", "tensor"]


@dataclass(frozen=True)
class InputAnswers:
    """What the author said of the inputs; None: nothing. `constants` are values by input name."""

    kind: Kind | None = None
    fit: Literal["stretch", "letterbox", "crop"] | None = None
    resize: Literal["nearest", "bilinear", "bicubic", "box", "lanczos"] | None = None
    color: Literal["rgb", "bgr", "grey"] | None = None
    layout: Literal["nhwc", "nchw"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    rate: int | None = None
    window: int | None = None
    context: int = 0
    stride: int | None = None
    features: int | None = None
    constants: Mapping[str, float] = field(default_factory=dict)


def answered_input(guess: Input, spec: TensorSpec, answers: InputAnswers) -> Input:
    """The manifest's input for a tensor.

    Raises:
        WrongUsage: what the tensor is cannot be known from the file; names the option that says it.
    """
    if spec.name in answers.constants:
        return Input(name=guess.name, kind="constant", value=answers.constants[spec.name])
    if guess.kind in ("state", "constant"):
        return guess
    if spec.shape in ((), (1,)):
        raise WrongUsage(f"the input {spec.name!r} is one {spec.dtype}: say its value: --constant {spec.name}=VALUE")
    kind = answers.kind or guess.kind
    if kind == "image":
        return _image(guess, spec, answers)
    if answers.kind is None:
        raise WrongUsage(
            f"the input {spec.name!r} is {spec.dtype} {shape_text(spec.shape)}: say what it is: --kind image | audio | "
            "series | tensor"
        )
    if kind == "audio":
        return _audio(guess, spec, answers)
    return _series(guess, spec, answers) if kind == "series" else Input(name=guess.name)


def _image(guess: Input, spec: TensorSpec, answers: InputAnswers) -> Input:
    if spec.dtype.startswith("float") and answers.mean is None and answers.std is None:
        raise WrongUsage(
            f"the input {spec.name!r} is {spec.dtype} and the file does not say how pixels become its values: "
            "--mean 0 --std 255 for 0..1, --mean 127.5 --std 127.5 for -1..1, --mean 0 --std 1 for 0..255"
        )
    said = {key: getattr(answers, key) for key in ("fit", "resize", "color", "layout", "mean", "std")}
    given = {key: value for key, value in said.items() if value is not None}
    return msgspec.structs.replace(guess, kind="image", **given)


def _audio(guess: Input, spec: TensorSpec, answers: InputAnswers) -> Input:
    width = spec.shape[-1]
    window = answers.window or (width - answers.context if width else None)
    if answers.rate is None or window is None:
        raise WrongUsage(f"the input {spec.name!r} is audio: say --rate in Hz and --window in samples")
    if width is not None and width != window + answers.context:
        raise WrongUsage(
            f"the input {spec.name!r} takes {width} samples, not --window {window} and --context {answers.context}"
        )
    return Input(name=guess.name, kind="audio", rate=answers.rate, window=window, context=answers.context)


def _series(guess: Input, spec: TensorSpec, answers: InputAnswers) -> Input:
    if answers.window is None:
        raise WrongUsage(f"the input {spec.name!r} is a series: say --window, the rows of one step")
    size = elements(spec)
    features = answers.features or (size // answers.window if size else None)
    if features is None or (size is not None and size != answers.window * features):
        raise WrongUsage(
            f"the input {spec.name!r} takes {shape_text(spec.shape)}, not --window {answers.window} rows of "
            f"--features {features or '?'}"
        )
    return Input(name=guess.name, kind="series", window=answers.window, stride=answers.stride, features=features)


def elements(spec: TensorSpec) -> int | None:
    """How many values one sample has; None where an axis other than the first is open."""
    size = 1
    for position, axis in enumerate(spec.shape):
        if axis is None and position > 0:
            return None
        size *= axis or 1
    return size
