"""From output tensors to an answer in the form of `protos.result`, as the manifest's outputs say.

One class per way of decoding. Each is told once which tensors it reads and complains then; calling it is the hot
path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput, EngineFailed
from edge_node.pipeline.inputs import Prepared
from edge_node.pipeline.tensors import dequantize, real_value
from protos.bundle import Output
from protos.result import Anomaly, Classified, Tensor
from protos.result import Output as Result

Floats = NDArray[np.float32]
Outputs = Mapping[str, Array]

DIGITS = 6
"""Scores and boxes are rounded to this many decimals: more is noise of the arithmetic, and bytes on the wire."""


@dataclass(frozen=True)
class Options:
    """What a pipeline overrides of the manifest; None leaves it."""

    top_k: int | None = None
    score_threshold: float | None = None
    threshold: float | None = None


class Decoder(Protocol):
    """Reads one answer."""

    def __call__(self, outputs: Outputs, prepared: Prepared) -> tuple[Result, ...]:
        """The answer that the session's outputs for a sample mean."""


class Classification:
    """The best classes of one score vector."""

    def __init__(self, given: Output, specs: Sequence[TensorSpec], labels: Sequence[str], options: Options) -> None:
        """Find the tensor.

        Raises:
            BadInput: no such output, or the labels are not as many as the classes.
        """
        self._spec = output_named(given.name, specs)
        self._activation = given.activation
        self._labels = labels
        self._top_k = max(1, given.top_k if options.top_k is None else options.top_k)
        classes = self._spec.shape[-1] if self._spec.shape else None
        check_labels(labels, classes, given, self._spec.name)

    def __call__(self, outputs: Outputs, prepared: Prepared) -> tuple[Classified, ...]:
        """The classes, best first; of equal ones the first stands first."""
        del prepared
        raw = outputs[self._spec.name].reshape(-1)
        if self._labels and raw.size != len(self._labels):
            raise EngineFailed(f"the output {self._spec.name!r} has {raw.size} scores for {len(self._labels)} labels")
        if self._activation == "none":
            best = _best(raw, self._top_k)
            scores = [real_value(raw[index], self._spec) for index in best]
        else:
            activated = activate(dequantize(raw, self._spec), self._activation)
            best = _best(activated, self._top_k)
            scores = [float(activated[index]) for index in best]
        return tuple(
            Classified(label_of(self._labels, index), round(score, DIGITS), index)
            for index, score in zip(best, scores, strict=True)
        )


class AnomalyScore:
    """The mean squared difference between the sample and its reconstruction."""

    def __init__(self, given: Output, specs: Sequence[TensorSpec], options: Options) -> None:
        """Find the tensor."""
        self._spec = output_named(given.name, specs)
        self._threshold = given.threshold if options.threshold is None else options.threshold

    def __call__(self, outputs: Outputs, prepared: Prepared) -> tuple[Anomaly, ...]:
        """One score, with its verdict where there is a threshold."""
        rebuilt = dequantize(outputs[self._spec.name], self._spec).reshape(-1)
        real = prepared.real
        if real is None or real.size != rebuilt.size:
            raise BadInput(f"the output {self._spec.name!r} is not a reconstruction of the input: sizes differ")
        difference = real.reshape(-1) - rebuilt
        score = round(float(np.dot(difference, difference)) / difference.size, DIGITS)
        anomalous = None if self._threshold is None else score > self._threshold
        return (Anomaly(score, self._threshold, anomalous),)


class Tensors:
    """The values of outputs as they are."""

    def __init__(self, given: Sequence[Output], specs: Sequence[TensorSpec]) -> None:
        """Find the tensors: those named, or all."""
        wanted = given or [Output(decode="tensor", name=spec.name) for spec in specs]
        self._wanted = [(output_named(one.name, specs), one.max_values) for one in wanted]

    def __call__(self, outputs: Outputs, prepared: Prepared) -> tuple[Tensor, ...]:
        """One entry per output, its values cut off after the manifest's `max_values`."""
        del prepared
        return tuple(_tensor(dequantize(outputs[spec.name], spec), spec.name, limit) for spec, limit in self._wanted)


def activate(values: Floats, activation: str, axis: int = -1) -> Floats:
    """Logits as probabilities: softmax along an axis, or sigmoid of each; anything else leaves them."""
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=axis, keepdims=True), np.float32)
    if activation == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)), np.float32)  # tanh does not overflow
    return values


def output_named(name: str | None, specs: Sequence[TensorSpec]) -> TensorSpec:
    """The output of that name, or the first.

    Raises:
        BadInput: the model has no such output.
    """
    if name is None:
        return specs[0]
    for spec in specs:
        if spec.name == name:
            return spec
    raise BadInput(f"model.toml: no output {name!r} in the model: it has {', '.join(spec.name for spec in specs)}")


def check_labels(labels: Sequence[str], classes: int | None, given: Output, where: str) -> None:
    """Return if there are no labels or as many as classes.

    Raises:
        BadInput: another number.
    """
    if labels and classes is not None and len(labels) != classes:
        file = given.labels or "the label file"
        raise BadInput(f"{file} has {len(labels)} labels, the output {where!r} {classes} classes: one line per class")


def label_of(labels: Sequence[str], index: int) -> str:
    """The label of a class, or its number where there is none."""
    return labels[index] if 0 <= index < len(labels) else str(index)


def _best(values: Array, count: int) -> list[int]:
    """Positions of the largest values, largest first, ties in order."""
    if count == 1:
        return [int(values.argmax())]
    order: list[int] = np.argsort(-values.astype(np.float32, copy=False), kind="stable")[:count].tolist()
    return order


def _tensor(values: Floats, name: str, limit: int) -> Tensor:
    return Tensor(name, values.shape, tuple(values.reshape(-1)[:limit].tolist()))


def unsupported_shape(spec: TensorSpec, wanted: str) -> BadInput:
    """The complaint about an output that is not what its head says."""
    return BadInput(f"the output {spec.name!r} of {shape_text(spec.shape)} is not {wanted}: set head in model.toml")
