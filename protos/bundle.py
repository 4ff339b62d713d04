"""`model.toml`: the manifest of a bundle, one model version.

The node reads it to run the model, `edgectl model init` writes it, the registry checks it. Reading is strict: an
unknown key is refused with the nearest known one named. Nothing here touches a file; callers hand in the text and
the names that the folder holds.
"""

import tomllib
from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from protos.errors import ContractError
from protos.identity import checked_name
from protos.strict import convert

MANIFEST = "model.toml"


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
    """

    name: str | None = None
    kind: Literal["image", "audio", "series", "text", "tensor", "constant", "state"] = "tensor"
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    resize: Literal["nearest", "bilinear", "bicubic", "box", "lanczos"] = "bilinear"
    color: Literal["rgb", "bgr", "grey"] = "rgb"
    layout: Literal["auto", "nhwc", "nchw"] = "auto"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    pad: int = 114
    rate: int | None = None
    window: int | None = None
    context: int = 0
    stride: int | None = None
    features: int | None = None
    value: float | None = None
    source: str | None = None


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
    top_k: int = 1
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    head: Literal["boxes_scores", "yolo", "tflite_ssd"] = "boxes_scores"
    boxes: str | None = None
    scores: str | None = None
    background: int | None = None
    score_threshold: float = 0.5
    iou_threshold: float = 0.5
    max_boxes: int = 100
    threshold: float | None = None
    max_values: int = 1024


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Inputs with the outputs that every device must reproduce: `vectors` is a glob inside the bundle."""

    vectors: str = "golden/*.npz"
    agree: Agree = Agree.TOP1
    tolerance: float = 1.0


class Slo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The latency target of one inference, preprocessing included."""

    p95_ms: float


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bundle's `model.toml`."""

    name: str
    task: Task
    variants: tuple[Variant, ...]
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    golden: Golden | None = None
    slo: Slo | None = None
    description: str = ""


def parse_manifest(text: str) -> Manifest:
    """The manifest that a `model.toml` holds.

    Raises:
        ContractError: not TOML, an unknown key, a value of the wrong kind, a name or path that breaks the rules.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ContractError(f"{MANIFEST} is not TOML: {error}") from None
    manifest = convert(document, Manifest, MANIFEST)
    checked_name(manifest.name, f"{MANIFEST}: name")
    if not manifest.variants:
        raise ContractError(f"{MANIFEST}: no [[variants]]: name at least one .tflite or .onnx file")
    for path in named_files(manifest):
        checked_path(path)
    return manifest


def named_files(manifest: Manifest) -> tuple[str, ...]:
    """The files that the manifest names one by one (golden vectors are a glob)."""
    labels = (output.labels for output in manifest.outputs if output.labels is not None)
    return tuple(dict.fromkeys((*(variant.file for variant in manifest.variants), *labels)))


def missing_files(manifest: Manifest, present: Collection[str]) -> tuple[str, ...]:
    """The named files that are not among those present."""
    return tuple(path for path in named_files(manifest) if path not in present)


def golden_files(manifest: Manifest, present: Iterable[str]) -> tuple[str, ...]:
    """The golden vectors among the files present, sorted."""
    if manifest.golden is None:
        return ()
    return tuple(sorted(path for path in present if PurePosixPath(path).match(manifest.golden.vectors)))


def checked_path(path: str) -> str:
    """The relative path itself, with forward slashes.

    Raises:
        ContractError: it is absolute, climbs out of the bundle, or is not written plainly.
    """
    parts = path.split("/")
    if "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ContractError(f"{path!r} is not a path inside the bundle: name a file below the folder of {MANIFEST}")
    return path
