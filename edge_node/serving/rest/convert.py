"""Tensors between JSON and bytes (little-endian, row-major), without numpy.

How lists are nested says nothing that the shape doesn't, so only the number of elements is held against the shape. FP16
has no JSON form. JSON has no NaN and no infinity: they leave as null, and don't come in.
"""

import struct
from collections.abc import Iterator
from itertools import chain
from math import isfinite, prod
from typing import Any

import msgspec

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rest.lists import Pause, Span, no_pause, pieces
from protos.inference.elements import joined, separate

FORMATS = {
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP32": "f",
    "FP64": "d",
}
"""Letters of `struct` for the numbers that JSON carries."""
FLOATS = ("FP32", "FP64")
MOST_TEXT = 2 << 20
"""Bytes of JSON with strings, all of which are Python objects at the same time."""


def from_json(
    name: str, datatype: str, shape: tuple[int, ...], data: msgspec.Raw | Span, pause: Pause = no_pause
) -> bytes:
    """The bytes of an input. Raises `ServingError` where they are not what datatype and shape say."""
    expected = prod(shape)
    try:
        content = _read(datatype, data if isinstance(data, Span) else _whole(bytes(data)), expected, pause)
    except (msgspec.MsgspecError, UnicodeDecodeError, struct.error, OverflowError, RecursionError, TypeError) as error:
        raise _invalid(f"unable to parse 'data' of input '{name}' as {datatype}: {_first_line(error)}") from None
    except KeyError:
        raise _invalid(_unknown(name, datatype)) from None
    elements = content[0]
    if elements != expected:
        found = f"{elements} elements" if elements < expected else f"{elements} elements or more"
        raise _invalid(f"input '{name}' has {found} in 'data', its shape {list(shape)} has {expected}")
    return content[1]


def _whole(text: bytes) -> Span:
    if not text.lstrip().startswith(b"["):
        raise TypeError("it is not an array")
    return Span(text, 0, len(text), known=True)


def _read(datatype: str, span: Span, expected: int, pause: Pause) -> tuple[int, bytes]:
    """Elements and their bytes; of more pieces than it takes to have more than was expected, the rest is not read."""
    if datatype == "BYTES":
        return _texts(msgspec.json.decode(_short(span)))
    letter = "?" if datatype == "BOOL" else FORMATS[datatype]
    kind: type[list[Any]] = list[bool] if datatype == "BOOL" else list[float] if datatype in FLOATS else list[int]
    content = bytearray()
    size = struct.calcsize(letter)
    for flat in pieces(span):
        if not flat.strip(b","):
            continue  # lists in which there is nothing
        values = msgspec.json.decode(b"[%b]" % flat, type=kind)
        content += struct.pack(f"<{len(values)}{letter}", *values)
        if len(content) > expected * size:
            break
        pause()
    return len(content) // size, bytes(content)


def _short(span: Span) -> bytes:
    if span.end - span.begin > MOST_TEXT:
        raise ServingError(Kind.TOO_LARGE, f"strings as JSON may have {MOST_TEXT} bytes: send more as binary data")
    return bytes(span.text[span.begin : span.end])


def _texts(values: list[Any]) -> tuple[int, bytes]:
    """Strings of any nesting, each with its length before it."""
    while values and isinstance(values[0], list):
        values = list(chain.from_iterable(values))
    texts = [value.encode() if isinstance(value, str) else _no_text(value) for value in values]
    return len(texts), joined(texts)


def _no_text(value: object) -> bytes:
    raise TypeError(f"{type(value).__name__} where a string belongs")


def to_json(name: str, datatype: str, data: bytes | memoryview) -> list[Any]:
    """The elements of an output. Raises `ServingError` where JSON has no form for them."""
    if datatype == "BYTES":
        return [_text(name, element) for element in elements(data)]
    view = memoryview(data).cast("B")
    if datatype == "BOOL":
        return view.cast("?").tolist()
    letter = FORMATS.get(datatype)
    if letter is None:
        raise _invalid(
            f"output '{name}' is {datatype}, which has no JSON form: ask for binary data (parameter binary_data)"
        )
    values = list(struct.unpack(f"<{len(view) // struct.calcsize(letter)}{letter}", view))
    if datatype in FLOATS:
        return [value if isfinite(value) else None for value in values]
    return values


def elements(data: bytes | memoryview) -> Iterator[bytes]:
    """The elements of a BYTES tensor. Raises `ServingError` where a length leads beyond the tensor."""
    try:
        yield from map(bytes, separate(memoryview(data).cast("B")))
    except ValueError:
        raise ServingError(Kind.FAILED, "an element of a BYTES tensor is longer than the tensor") from None


def _text(name: str, element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise _invalid(f"output '{name}' is not UTF-8: ask for binary data (parameter binary_data)") from None


def _unknown(name: str, datatype: str) -> str:
    if datatype == "FP16":
        return f"receiving FP16 data via JSON is not supported: use the binary data format for input '{name}'"
    return f"invalid datatype '{datatype[:20]}' for input '{name}'"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["out of range"])[0]


def _invalid(reason: str) -> ServingError:
    return ServingError(Kind.INVALID, reason)
