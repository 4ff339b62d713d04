"""Real values to tensors and back: real = scale * (q - zero_point), as the tensor's specification says."""

import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import Array, TensorSpec

Floats = NDArray[np.float32]


def quantize(values: Floats, spec: TensorSpec) -> Array:
    """Real values in the tensor's own type: rounded to even and saturated where it is quantized or an integer."""
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iu":
        return values.astype(dtype, copy=False)
    if spec.scale is not None:
        values = values / np.float32(spec.scale) + np.float32(spec.zero_point or 0)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def dequantize(array: Array, spec: TensorSpec) -> Floats:
    """The real values of a tensor, as float32."""
    values = array.astype(np.float32, copy=False)
    if spec.scale is None:
        return values
    if spec.zero_point:
        values = values - np.float32(spec.zero_point)
    return values * np.float32(spec.scale)


def real_value(value: np.generic, spec: TensorSpec) -> float:
    """The real value of one element: where few are wanted, numbers cost less than arrays."""
    if spec.scale is None:
        return float(value)
    return (float(value) - (spec.zero_point or 0)) * spec.scale


def static_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The tensor's shape for one sample: open axes are 1."""
    return tuple(1 if axis is None else axis for axis in spec.shape)
