"""Which manifest input describes which tensor, and from a sample to each tensor's feed.

A canonical sample is what lies between fitting and encoding: golden vectors hold it, and every variant encodes it
in its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput
from edge_node.pipeline.placement import Placement, Size
from edge_node.pipeline.tensors import quantize, static_shape
from protos.bundle import Input

VALUES = ("audio", "series", "tensor")
"""The kinds of inputs that take real values."""


@dataclass(frozen=True)
class Prepared:
    """A sample as the model takes it.

    `placement` is where the frame lies in the first image input; `real` are the sample's real values, where the
    answer is a comparison with them.
    """

    feeds: dict[str, Array]
    placement: Placement | None = None
    real: NDArray[np.float32] | None = None


class SampleInput(Protocol):
    """One tensor that a sample fills."""

    @property
    def size(self) -> Size | None:
        """Of an image input, in pixels."""

    def fit(self, sample: Array) -> tuple[Array, Placement | None]:
        """The canonical form of a sample, and for images where the frame lies in it.

        Raises:
            BadInput: the sample does not fit the tensor.
        """

    def encode(self, canonical: Array) -> Array:
        """The tensor's feed.

        Raises:
            BadInput: the canonical sample does not fit the tensor.
        """


class ValuesInput:
    """A tensor, series or audio input: real values of one step, in the tensor's shape."""

    size = None

    def __init__(self, spec: TensorSpec) -> None:
        """Hold the tensor's specification."""
        self._spec = spec

    def fit(self, sample: Array) -> tuple[Array, None]:
        """The values as float32 in the tensor's shape; of open axes the last takes what the others leave."""
        values: Array = np.asarray(sample, np.float32)
        if None in self._spec.shape and values.ndim == len(self._spec.shape):
            return values, None
        shape = list(static_shape(self._spec))
        if shape and self._spec.shape[-1] is None:
            shape[-1] = -1
        try:
            return values.reshape(shape), None
        except ValueError:
            raise BadInput(
                f"a sample of {shape_text(values.shape)} does not fill the input {self._spec.name!r} "
                f"of {shape_text(self._spec.shape)}"
            ) from None

    def encode(self, canonical: Array) -> Array:
        """The values in the tensor's type."""
        return np.ascontiguousarray(quantize(canonical.astype(np.float32, copy=False), self._spec))


def sample_input(given: Input, spec: TensorSpec) -> SampleInput:
    """What fills a tensor that is neither state nor constant.

    Raises:
        BadInput: this version does not know the kind, Pillow is missing, or the tensor does not fit the kind.
    """
    if given.kind == "image":
        return _image_input(given, spec)
    if given.kind in VALUES:
        return ValuesInput(spec)
    raise BadInput(f"the input {spec.name!r} is of kind {given.kind!r}, which this version cannot feed")


def example_values(given: Input, spec: TensorSpec) -> NDArray[np.float32]:
    """Zeros of one step; where the tensor leaves its last axis open, the manifest says how long a step is."""
    shape = list(static_shape(spec))
    if shape and spec.shape[-1] is None and given.window is not None:
        shape[-1] = given.context + given.window * (given.features or 1)
    return np.zeros(shape, np.float32)


def constant_feed(given: Input, spec: TensorSpec) -> Array:
    """The feed of a constant input.

    Raises:
        BadInput: it has no value.
    """
    if given.value is None:
        raise BadInput(f"the constant input {spec.name!r} needs a value in model.toml")
    return np.full(static_shape(spec), given.value, np.dtype(spec.dtype))


def match_inputs(given: Sequence[Input], specs: Sequence[TensorSpec]) -> list[tuple[Input, TensorSpec]]:
    """Every tensor with the manifest's input for it: by name, then by position; a plain tensor where none is left.

    Raises:
        BadInput: the manifest names a tensor that the model does not have, or has too many inputs.
    """
    names = [spec.name for spec in specs]
    for one in given:
        if one.name is not None and one.name not in names:
            raise BadInput(f"model.toml: no input {one.name!r} in the model: it has {', '.join(names)}")
    by_name = {one.name: one for one in given if one.name is not None}
    unnamed = iter([one for one in given if one.name is None])
    matched = [(by_name.get(spec.name) or next(unnamed, Input()), spec) for spec in specs]
    if next(unnamed, None) is not None:
        raise BadInput(f"model.toml has {len(given)} inputs, the model {len(specs)}: {', '.join(names)}")
    return matched


def _image_input(given: Input, spec: TensorSpec) -> SampleInput:
    try:
        from edge_node.pipeline.preprocess import ImageInput  # models without images run without Pillow
    except ImportError:
        raise BadInput("images need Pillow, which is not installed: pip install 'nearfield[image]'") from None
    return ImageInput(given, spec)
