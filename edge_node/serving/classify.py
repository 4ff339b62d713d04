"""The classification extension: the largest values of an output as BYTES `score:index` or `score:index:label`.

Source: Triton's classification extension; scores as `%f`, integers as `%d`. Pure, and without numpy: outputs with
classes are short.
"""

import struct
from collections.abc import Sequence
from heapq import nlargest
from math import prod

from edge_node.serving.inference import Kind, ServingError
from protos.inference.datatypes import SIZES
from protos.inference.elements import joined

MOST_VALUES = 100_000
"""of one output: more are no classes, and would keep everybody waiting"""
_CODES = {
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip


def classes_of(
    data: memoryview, datatype: str, shape: Sequence[int], classes: int, labels: Sequence[str], *, batched: bool
) -> tuple[bytes, tuple[int, ...]]:
    """The classes of an output as BYTES, and their shape: `[k]`, or `[n, k]` for a batch of n.

    Args:
        data: the output's values, little-endian.
        datatype: the protocol's name of their type.
        shape: of the output.
        classes: how many are wanted.
        labels: by index; fewer than there are indexes is no error.
        batched: the first axis is the batch.

    Raises:
        ServingError: INVALID; the output is too long to be classes.
    """
    rows = shape[0] if batched else 1
    if prod(shape) > MOST_VALUES:
        raise ServingError(Kind.INVALID, f"an output of shape {list(shape)} is too large to be classes")
    width = prod(shape[1:] if batched else shape)
    values = _values(data, datatype)
    wanted = min(classes, width)
    lines: list[bytes] = []
    for row in range(rows):
        lines += _best(values[row * width : (row + 1) * width], wanted, labels)
    return joined(lines), (rows, wanted) if batched else (wanted,)


def _best(values: Sequence[int | float], wanted: int, labels: Sequence[str]) -> list[bytes]:
    best = nlargest(wanted, range(len(values)), key=values.__getitem__)
    return [_line(values[index], index, labels).encode() for index in best]


def _line(value: int | float, index: int, labels: Sequence[str]) -> str:
    score = f"{value:f}" if isinstance(value, float) else f"{value}"
    return f"{score}:{index}:{labels[index]}" if index < len(labels) else f"{score}:{index}"


def _values(data: memoryview, datatype: str) -> Sequence[int | float]:
    return struct.unpack(f"<{len(data) // SIZES[datatype]}{_CODES[datatype]}", data)
