"""What an `.onnx` file says that engines do not tell: the quantization of its ends, and what it calls its outputs.

The reader of the format is `protos.admission.wire`; only the fields needed are read, in place, so that a large model
costs no memory. Whether the file may be opened at all is decided before, by `edge_node.engine.admission`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from edge_node.engine.admission import mapped
from edge_node.errors import BadInput
from protos.admission.limits import LIMITS, Inadmissible, Work
from protos.admission.wire import Message, Value, fields, integers

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_OUTPUT = 1, 5, 12
VALUE_NAME = 1
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR = 1, 2, 4
TENSOR_DATA_TYPE, TENSOR_FLOAT_DATA, TENSOR_INT32_DATA, TENSOR_NAME, TENSOR_RAW = 2, 4, 5, 8, 9

ZERO_POINT_FORMATS = {2: "<B", 3: "<b", 4: "<H", 5: "<h"}
"""Element types of a zero point (TensorProto.DataType): uint8, int8, uint16, int16."""

Quantization = dict[str, tuple[float, int]]
"""(scale, zero point) by the name of a graph's input or output."""


def read_quantization(path: Path) -> Quantization:
    """The quantization of a model file's ends.

    Raises:
        BadInput: the file cannot be read, or is no ONNX model.
    """
    try:
        return quantization(mapped(path))
    except Inadmissible as error:
        raise BadInput(f"{path} is not an ONNX model, or it is truncated ({error}): export or copy it again") from None


def read_output_names(path: Path) -> tuple[str, ...]:
    """The names of a model file's outputs, in its order.

    Raises:
        BadInput: the file cannot be read, or is no ONNX model.
    """
    work = Work(LIMITS)
    try:
        graphs = list(_of(mapped(path), MODEL_GRAPH, work))
        outputs = [Message(value, work) for graph in graphs for value in _of(graph, GRAPH_OUTPUT, work)]
        return tuple(output.text(VALUE_NAME) for output in outputs)
    except Inadmissible as error:
        raise BadInput(f"{path} is not an ONNX model, or it is truncated ({error}): export or copy it again") from None


def quantization(content: memoryview) -> Quantization:
    """The quantization of the ends of a serialized ModelProto.

    Raises:
        Inadmissible: not a protobuf, cut off, or longer than anybody reads.
    """
    work = Work(LIMITS)
    scalars: dict[str, tuple[float | None, int | None]] = {}
    quantizers: list[tuple[str, str, str]] = []
    for graph in _of(content, MODEL_GRAPH, work):
        for tensor in _of(graph, GRAPH_INITIALIZER, work):
            scalars.update(_scalar(tensor, work))
        for node in _of(graph, GRAPH_NODE, work):
            quantizers.extend(_quantizer(Message(node, work)))
    return dict(_resolved(quantizers, scalars))


def _quantizer(node: Message) -> Iterator[tuple[str, str, str]]:
    """The tensor that a QuantizeLinear gives or a DequantizeLinear takes, and the names of its scale and zero point."""
    kind = node.text(NODE_OPERATOR)
    if kind not in ("QuantizeLinear", "DequantizeLinear"):
        return
    taken, given = node.texts(NODE_INPUT), node.texts(NODE_OUTPUT)
    if len(taken) > 1 and given:
        yield given[0] if kind == "QuantizeLinear" else taken[0], taken[1], taken[2] if len(taken) > 2 else ""


def _resolved(
    quantizers: list[tuple[str, str, str]], scalars: dict[str, tuple[float | None, int | None]]
) -> Iterator[tuple[str, tuple[float, int]]]:
    for tensor, scale_name, zero_name in quantizers:
        scale, _ = scalars.get(scale_name, (None, None))
        zero = scalars.get(zero_name, (None, None))[1] if zero_name else 0
        if scale is not None and zero is not None:
            yield tensor, (scale, zero)


def _scalar(content: memoryview, work: Work) -> dict[str, tuple[float | None, int | None]]:
    """The one value of a small tensor by its name: as a float32 and as an integer, where it is one."""
    tensor = Message(content, work)
    raw, floats = _bytes(tensor.first(TENSOR_RAW)), _bytes(tensor.first(TENSOR_FLOAT_DATA))
    data_type = tensor.integer(TENSOR_DATA_TYPE)
    scale = zero = None
    layout = ZERO_POINT_FORMATS.get(data_type)
    if data_type == 1 and len(raw or floats) == 4:
        scale = float(struct.unpack("<f", raw or floats)[0])
    elif layout is not None and len(raw) == struct.calcsize(layout):
        zero = int(struct.unpack(layout, raw)[0])
    elif layout is not None:
        zero = next((one for value in tensor.first(TENSOR_INT32_DATA) for one in integers(value)), None)
    return {tensor.text(TENSOR_NAME): (scale, zero)}


def _bytes(values: list[Value]) -> bytes:
    """The bytes of a scalar; of anything longer none."""
    value = values[0] if values else 0
    return bytes(value) if isinstance(value, memoryview) and len(value) <= 4 else b""


def _of(content: memoryview, field: int, work: Work) -> Iterator[memoryview]:
    """Every message in a field of that number, in order."""
    for number, value in fields(content, work):
        if number == field and isinstance(value, memoryview):
            yield value
