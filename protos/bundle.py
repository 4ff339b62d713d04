"""`model.toml`: the manifest of a bundle, one model version.

The node reads it to run the model, `edgectl model init` writes it, the registry checks it. Reading is strict: an
unknown key is refused with the nearest known one named. Nothing here touches a file; callers hand in the text and
the names that the folder holds.
"""

import tomllib
from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Literal

import msgspec

from protos.admission.limits import Inadmissible
from protos.admission.text import check_toml
from protos.errors import ContractError
from protos.identity import checked_name
from protos.strict import convert

MANIFEST = "model.toml"
SUFFIXES = {"litert": ".tflite", "onnxruntime": ".onnx"}
"""Of the files that each engine runs; the stub runs any."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Task(StrEnum):
    """What a model's outputs mean."""

    CLASSIFICATION = "classification"
    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    KEYPOINTS = "keypoints"
    ANOMALY = "anomaly"
    EMBEDDING = "embedding"
    TENSOR = "tensor"


class Agree(StrEnum):
    """How a device's outputs are compared with the golden ones."""

    TOP1 = "top1"
    """`tolerance` is the least fraction of vectors whose best class is the golden one."""
    BOXES = "boxes"
    """`tolerance` is the least intersection over union at which every golden box finds its match."""
    VALUES = "values"
    """`tolerance` is the largest absolute difference of any value."""


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One runnable file of the bundle."""

    file: str
    engine: Literal["litert", "onnxruntime", "stub"]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"source": "from"}):
    """One input tensor, matched by name, or by position where it has none.

    image: `fit`, `resize`, `color`, `layout`, `mean` and `std` (of pixel values 0..255; without them a quantized
    input takes the pixels as they are, a float input takes pixels / 255).
    audio: `rate` in Hz, `window` new samples a step, `context` samples of the step before in front of them.
    series: `window` rows a step, `stride` rows between steps; rows are `features` wide.
    constant: `value`. state: the output named `from` of the step before, zeros at first.
    `low` and `high` are the least and the largest value that a served model takes in this tensor, in its own type.
    """

    name: str | None = None
    kind: Literal["image", "audio", "series", "text", "tensor", "constant", "state"] = "tensor"
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    resize: Literal["nearest", "bilinear", "bicubic", "box", "lanczos"] = "bilinear"
    color: Literal["rgb", "bgr", "grey"] = "rgb"
    layout: Literal["auto", "nhwc", "nchw"] = "auto"
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None
    pad: Annotated[int, msgspec.Meta(ge=0, le=255)] = 114
    rate: Count | None = None
    window: Count | None = None
    context: Annotated[int, msgspec.Meta(ge=0)] = 0
    stride: Count | None = None
    features: Count | None = None
    value: float | None = None
    source: str | None = None
    low: float | None = None
    high: float | None = None


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one answer is read from the output tensors.

    classification: `labels`, `top_k`, `activation` ("softmax" where the model gives logits).
    detection: `head` says which tensors there are. "boxes_scores": a tensor of boxes and one of scores per class;
    "yolo": one tensor [1, 4 + classes, n] of centre, size and class scores in pixels of the input; "tflite_ssd": the
    four outputs of TFLite's detection post-processing. `background` is the class index that is no object.
    anomaly: mean squared difference between the input and this output, against `threshold`.
    tensor: the values, up to `max_values` of them.
    """

    decode: Literal["classification", "detection", "anomaly", "tensor"]
    name: str | None = None
    labels: str | None = None
    top_k: Count = 1
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    head: Literal["boxes_scores", "yolo", "tflite_ssd"] = "boxes_scores"
    boxes: str | None = None
    scores: str | None = None
    background: Annotated[int, msgspec.Meta(ge=0)] | None = None
    score_threshold: Share = 0.5
    iou_threshold: Share = 0.5
    max_boxes: Count = 100
    threshold: float | None = None
    max_values: Count = 1024


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Inputs with the outputs that every device must reproduce: `vectors` is a glob inside the bundle."""

    vectors: str = "golden/*.npz"
    agree: Agree = Agree.TOP1
    tolerance: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class Slo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The latency target of one inference, preprocessing included."""

    p95_ms: Positive


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bundle's `model.toml`.

    `files` are others that belong to it: the external data of an `.onnx` file, a licence. `padded` are names of open
    axes that may be filled up with zeros, so that what several clients ask with other lengths is inferred at once.
    """

    name: str
    task: Task
    variants: tuple[Variant, ...]
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    golden: Golden | None = None
    slo: Slo | None = None
    description: str = ""
    files: tuple[str, ...] = ()
    padded: tuple[str, ...] = ()


def parse_manifest(text: str) -> Manifest:
    """The manifest that a `model.toml` holds.

    Raises:
        ContractError: not TOML, an unknown key, a value of the wrong kind, a name or path that breaks the rules.
    """
    document = _document(text)
    manifest = convert(document, Manifest, MANIFEST)
    checked_name(manifest.name, f"{MANIFEST}: name")
    if not manifest.variants:
        raise ContractError(f"{MANIFEST}: no [[variants]]: name at least one .tflite or .onnx file")
    for path in named_files(manifest):
        checked_path(path)
    for variant in manifest.variants:
        _check_variant(variant, [other.file for other in manifest.variants])
    for number, entry in enumerate(manifest.inputs):
        _check_input(entry, f"{MANIFEST}: inputs[{number}]")
    for number, output in enumerate(manifest.outputs):
        _check_output(output, f"{MANIFEST}: outputs[{number}]")
    return manifest


def _document(text: str) -> dict[str, object]:
    """The document, where reading it is short work."""
    try:
        check_toml(text)
        return tomllib.loads(text)
    except Inadmissible as error:
        raise ContractError(f"{MANIFEST} is refused: {error}") from None
    except RecursionError:
        raise ContractError(f"{MANIFEST} is not TOML: values too deep inside one another") from None
    except ValueError as error:  # TOMLDecodeError, and Python's own at a number of too many digits
        raise ContractError(f"{MANIFEST} is not TOML: {error}") from None


def _check_variant(variant: Variant, files: list[str]) -> None:
    if files.count(variant.file) > 1:
        raise ContractError(f"{MANIFEST}: two variants have the file {variant.file!r}: name each file once")
    suffix = SUFFIXES.get(variant.engine, "")
    if not variant.file.endswith(suffix):
        raise ContractError(f"{MANIFEST}: variant {variant.file!r}: {variant.engine} runs {suffix} files")


def _check_input(entry: Input, where: str) -> None:
    """That the keys which a kind of input cannot do without are there."""
    required = {
        "constant": ("value",),
        "state": ("source",),
        "audio": ("rate", "window"),
        "series": ("window",),
    }
    for key in required.get(entry.kind, ()):
        if getattr(entry, key) is None:
            raise ContractError(f"{where}: kind {entry.kind!r} needs {key.replace('source', 'from')!r}")
    mean, std = entry.mean, entry.std
    if mean is not None and std is not None and len(mean) != len(std):
        raise ContractError(f"{where}: {len(mean)} values of mean and {len(std)} of std: give one per channel, or one")
    if entry.low is not None and entry.high is not None and entry.low > entry.high:
        raise ContractError(f"{where}: low {entry.low:g} is above high {entry.high:g}: exchange them")


def _check_output(output: Output, where: str) -> None:
    if output.decode == "detection" and (output.boxes is None) != (output.scores is None):
        raise ContractError(
            f"{where}: names {'boxes' if output.boxes else 'scores'} alone: name both tensors or neither"
        )


def named_files(manifest: Manifest) -> tuple[str, ...]:
    """The files that the manifest names one by one (golden vectors are a glob)."""
    labels = (output.labels for output in manifest.outputs if output.labels is not None)
    return tuple(dict.fromkeys((*(variant.file for variant in manifest.variants), *labels, *manifest.files)))


def missing_files(manifest: Manifest, present: Collection[str]) -> tuple[str, ...]:
    """The named files that are not among those present."""
    return tuple(path for path in named_files(manifest) if path not in present)


def golden_files(manifest: Manifest, present: Iterable[str]) -> tuple[str, ...]:
    """The golden vectors among the files present, sorted."""
    if manifest.golden is None:
        return ()
    pattern = f"/{manifest.golden.vectors}"  # a pattern that is not absolute would match from the right
    return tuple(sorted(path for path in present if PurePosixPath(f"/{path}").match(pattern)))


def checked_path(path: str) -> str:
    """The relative path itself, with forward slashes.

    Raises:
        ContractError: it is absolute, climbs out of the bundle, or is not written plainly.
    """
    parts = path.split("/")
    if "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ContractError(f"{path!r} is not a path inside the bundle: name a file below the folder of {MANIFEST}")
    return path
