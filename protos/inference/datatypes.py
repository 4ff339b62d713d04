"""The protocol's datatypes: their names, their sizes, and what numpy calls them.

Source: Open Inference Protocol v2, "Tensor Data Types". BYTES has elements of any length, each with a 4-byte
little-endian length before it where tensors are sent as raw bytes.
"""

from math import prod

NUMPY: dict[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""numpy's name of each datatype."""

DATATYPES: dict[str, str] = {numpy: datatype for datatype, numpy in NUMPY.items()}
"""The datatype of each of numpy's names."""

SIZES: dict[str, int] = {
    **dict.fromkeys(("BOOL", "UINT8", "INT8"), 1),
    **dict.fromkeys(("UINT16", "INT16", "FP16"), 2),
    **dict.fromkeys(("UINT32", "INT32", "FP32"), 4),
    **dict.fromkeys(("UINT64", "INT64", "FP64"), 8),
}
"""Bytes of an element; BYTES has no size of its own."""


def byte_count(datatype: str, shape: tuple[int, ...]) -> int | None:
    """Bytes of a tensor, None for BYTES, whose length only its content says."""
    size = SIZES.get(datatype)
    return None if size is None else size * prod(shape)
