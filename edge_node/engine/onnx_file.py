"""What an `.onnx` file says that ONNX Runtime does not tell: quantization of its ends, and files outside itself.

The file is a protobuf (field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); only the fields
needed are read, in place, so that a large model costs no memory. Nothing here runs anything of the model.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_node.errors import BadInput

Buffer = memoryview

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_OP_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
TENSOR_DATA_TYPE, TENSOR_FLOAT_DATA, TENSOR_INT32_DATA, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL = 2, 4, 5, 8, 9, 13
ENTRY_KEY, ENTRY_VALUE = 1, 2

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
ZERO_POINT_FORMATS = {2: "<B", 3: "<b", 4: "<H", 5: "<h"}
"""Element types of a zero point (TensorProto.DataType): uint8, int8, uint16, int16."""


@dataclass(frozen=True)
class OnnxFacts:
    """`quantization`: (scale, zero point) by name of a graph input or output. `external`: files that hold weights."""

    quantization: dict[str, tuple[float, int]]
    external: tuple[str, ...]


def read_onnx_facts(path: Path) -> OnnxFacts:
    """The facts of a model file.

    Raises:
        BadInput: the file cannot be read, or is no ONNX model.
    """
    try:
        with path.open("rb") as file:
            # never closed by hand: views into it may live on in a traceback, and the last of them unmaps it
            return onnx_facts(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: give the path of an .onnx file") from None
    except (ValueError, IndexError, struct.error, RecursionError):
        raise BadInput(f"{path} is not an ONNX model, or it is truncated: export or copy it again") from None


def onnx_facts(content: Buffer) -> OnnxFacts:
    """The facts of a serialized ModelProto.

    Raises:
        ValueError, IndexError, struct.error: not a protobuf, or cut off.
    """
    scalars: dict[str, tuple[float | None, int | None]] = {}
    external: dict[str, None] = {}
    quantizers: list[tuple[str, str, str | None]] = []
    for graph in _messages(content, MODEL_GRAPH):
        for tensor in _messages(graph, GRAPH_INITIALIZER):
            scalars[_text(tensor, TENSOR_NAME)] = _scalar(tensor)
        for node in _messages(graph, GRAPH_NODE):
            quantizers.extend(_quantizer(node))
        external.update(dict.fromkeys(_external_files(graph)))
    return OnnxFacts(dict(_resolved(quantizers, scalars)), tuple(external))


def _quantizer(node: Buffer) -> Iterator[tuple[str, str, str | None]]:
    """The tensor that a QuantizeLinear gives or a DequantizeLinear takes, and the names of its scale and zero point."""
    kind = _text(node, NODE_OP_TYPE)
    if kind not in ("QuantizeLinear", "DequantizeLinear"):
        return
    taken = [_utf8(name) for name in _messages(node, NODE_INPUT)]
    given = [_utf8(name) for name in _messages(node, NODE_OUTPUT)]
    quantized = given[0] if kind == "QuantizeLinear" else taken[0]
    yield quantized, taken[1], taken[2] if len(taken) > 2 else None


def _resolved(
    quantizers: list[tuple[str, str, str | None]], scalars: dict[str, tuple[float | None, int | None]]
) -> Iterator[tuple[str, tuple[float, int]]]:
    for tensor, scale_name, zero_name in quantizers:
        scale, _ = scalars.get(scale_name, (None, None))
        zero = 0 if zero_name is None else scalars.get(zero_name, (None, None))[1]
        if scale is not None and zero is not None:
            yield tensor, (scale, zero)


def _scalar(tensor: Buffer) -> tuple[float | None, int | None]:
    """The one value of a small tensor, as a float32 and as an integer, where it is one."""
    data_type, raw, floats, integers = 0, b"", b"", None
    for number, value in _fields(tensor):
        if number == TENSOR_DATA_TYPE and isinstance(value, int):
            data_type = value
        elif number == TENSOR_RAW and isinstance(value, memoryview) and len(value) <= 4:
            raw = bytes(value)
        elif number == TENSOR_FLOAT_DATA and isinstance(value, memoryview) and len(value) == 4:
            floats = bytes(value)
        elif number == TENSOR_INT32_DATA:
            integers = value if isinstance(value, int) else next(_varints(value), None)
    if data_type == 1:
        content = raw or floats
        return (struct.unpack("<f", content)[0] if len(content) == 4 else None), None
    layout = ZERO_POINT_FORMATS.get(data_type)
    if layout is not None and len(raw) == struct.calcsize(layout):
        return None, int(struct.unpack(layout, raw)[0])
    return None, _signed(integers)


def _external_files(graph: Buffer) -> Iterator[str]:
    """The `location` of every tensor that is kept outside, in the graph and in the graphs inside it."""
    for tensor in _messages(graph, GRAPH_INITIALIZER):
        yield from _location(tensor)
    for node in _messages(graph, GRAPH_NODE):
        for attribute in _messages(node, NODE_ATTRIBUTE):
            for kind in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                for tensor in _messages(attribute, kind):
                    yield from _location(tensor)
            for kind in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                for inner in _messages(attribute, kind):
                    yield from _external_files(inner)


def _location(tensor: Buffer) -> Iterator[str]:
    for entry in _messages(tensor, TENSOR_EXTERNAL):
        if _text(entry, ENTRY_KEY) == "location":
            yield _text(entry, ENTRY_VALUE)


def _messages(content: Buffer, field: int) -> Iterator[Buffer]:
    """Every length-delimited field of that number, in order."""
    for number, value in _fields(content):
        if number == field and isinstance(value, memoryview):
            yield value


def _text(content: Buffer, field: int) -> str:
    return next((_utf8(value) for value in _messages(content, field)), "")


def _utf8(value: Buffer) -> str:
    return bytes(value).decode("utf-8")


def _fields(content: Buffer) -> Iterator[tuple[int, int | Buffer]]:
    """The fields of a message: its number, and an integer or the bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if wire == BYTES:
            length, at = _varint(content, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if number == 0 or at + length > len(content):
            raise ValueError("cut off")
        yield number, content[at : at + length]
        at += length


def _varints(content: Buffer) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _varint(content, at)
        yield value


def _varint(content: Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint of more than ten bytes")


def _signed(value: int | None) -> int | None:
    """A protobuf int32 as it was meant: negative numbers are written as 64 bits."""
    return value - (1 << 64) if value is not None and value >= 1 << 63 else value
