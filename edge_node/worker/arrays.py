"""Arrays in a slot: views of what an ask holds, checks of its values, and answers written where they belong.

BYTES lie in a slot as on the wire, each element after its 4-byte little-endian length; engines take and give them as
arrays of `str`, so that they have to be UTF-8.
"""

import math
from math import prod

import numpy as np

from edge_node.engine.base import Array
from edge_node.errors import BadInput
from edge_node.lane.messages import Port, Tensor
from protos.inference.datatypes import NUMPY
from protos.inference.elements import joined, separate

DTYPES: dict[str, np.dtype[np.generic]] = {name: np.dtype(dtype) for name, dtype in NUMPY.items()}
"""numpy's type of each datatype"""


def view(slot: memoryview, tensor: Tensor) -> Array:
    """The array that an ask's tensor is: the slot itself, not a copy, but for BYTES.

    Raises:
        BadInput: BYTES that are not as many as the shape says, or no UTF-8.
        TypeError: a tensor that reaches beyond the slot.
    """
    if tensor.datatype == "BYTES":
        return _texts(slot[tensor.offset : tensor.offset + tensor.size], tensor)
    return np.ndarray(tensor.shape, DTYPES[tensor.datatype], slot, tensor.offset)


def packed_texts(array: Array) -> bytes:
    """An array of `str` as BYTES lie in a slot."""
    return joined(str(one).encode() for one in array.flat)


def put(array: Array, datatype: str, slot: memoryview, offset: int) -> None:
    """Write an array of numbers into a slot where there is room for it."""
    np.ndarray(array.shape, DTYPES[datatype], slot, offset)[...] = array


def check_values(array: Array, port: Port, *, finite: bool) -> None:
    """Return if all values of an input are within its declared range, and `finite` where they have to be.

    Raises:
        BadInput: one is not.
    """
    if finite and array.dtype.kind == "f" and not _finite(array):
        raise BadInput(f"the input {port.name!r} has values that are not finite (NaN or infinite)")
    if port.low is not None and array.size and not array.min() >= port.low:  # so written, that NaN is refused
        raise BadInput(f"the input {port.name!r} has the value {array.min():g}, below {port.low:g}")
    if port.high is not None and array.size and not array.max() <= port.high:
        raise BadInput(f"the input {port.name!r} has the value {array.max():g}, above {port.high:g}")


def _finite(array: Array) -> bool:
    """One sum of squares, which anything that is not finite spoils, costs a third of looking at each value."""
    if array.dtype.itemsize > 2:
        flat = array.reshape(-1)
        if math.isfinite(flat.dot(flat)):
            return True
    return bool(np.isfinite(array).all())


def _texts(content: memoryview, tensor: Tensor) -> Array:
    try:
        texts = [str(one, "utf-8") for one in separate(content)]
    except UnicodeDecodeError:
        place = next(at for at, one in enumerate(separate(content)) if not _is_text(one))
        raise BadInput(f"the input {tensor.name!r} has BYTES that are no UTF-8 text: element {place}") from None
    except ValueError:
        raise BadInput(f"the input {tensor.name!r} has BYTES that end within an element") from None
    if len(texts) != prod(tensor.shape):
        raise BadInput(f"the input {tensor.name!r} has {len(texts)} BYTES for the shape {list(tensor.shape)}")
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(tensor.shape)


def _is_text(content: memoryview) -> bool:
    try:
        str(content, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
