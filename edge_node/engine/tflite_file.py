"""What a `.tflite` file says of its ends to an engine that is not LiteRT: their names and their quantization.

The reader of the format is `protos.admission.flatbuffer`; only the ends are read, in place. Whether the file may be
opened at all is decided before, by `edge_node.engine.admission`. Tables and fields: schema.fbs of TensorFlow Lite.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from edge_node.engine.admission import mapped
from edge_node.errors import BadInput
from protos.admission.flatbuffer import Table, root
from protos.admission.limits import LIMITS, Inadmissible, Work
from protos.admission.tflite import GRAPHS, IDENTIFIER, INPUTS, NAME, OUTPUTS, QUANTIZATION, TENSORS

SCALE, ZERO_POINT = 2, 3
"""Fields of QuantizationParameters."""


@dataclass(frozen=True)
class End:
    """An input or output of the first graph; `quantization` is (scale, zero point), None where it has none."""

    name: str
    quantization: tuple[float, int] | None = None


def read_ends(path: Path) -> tuple[tuple[End, ...], tuple[End, ...]]:
    """The inputs and the outputs of a model file, in its order.

    Raises:
        BadInput: the file cannot be read, or is no TFLite model.
    """
    try:
        return ends(mapped(path))
    except Inadmissible as error:
        raise BadInput(
            f"{path} is not a TFLite model, or it is truncated ({error}): convert or copy it again"
        ) from None


def ends(content: memoryview) -> tuple[tuple[End, ...], tuple[End, ...]]:
    """The inputs and the outputs of a serialized Model.

    Raises:
        Inadmissible: not such a flatbuffer, or an index without a tensor.
    """
    work = Work(LIMITS)
    graph = next(iter(root(content, IDENTIFIER, work).tables(GRAPHS)), None)
    if graph is None:
        raise Inadmissible("no graph")
    tensors = list(graph.tables(TENSORS))
    return _named(graph, INPUTS, tensors), _named(graph, OUTPUTS, tensors)


def _named(graph: Table, field: int, tensors: list[Table]) -> tuple[End, ...]:
    indices = graph.integers(field, LIMITS.tensors, "the ends of a graph")
    if not all(0 <= index < len(tensors) for index in indices):
        raise Inadmissible("an end that is no tensor")
    return tuple(End(tensors[index].text(NAME), _quantization(tensors[index])) for index in indices)


def _quantization(tensor: Table) -> tuple[float, int] | None:
    """Of the whole tensor; parameters per channel are weights' alone."""
    parameters = tensor.table(QUANTIZATION)
    if parameters is None or len(parameters.vector(SCALE, 4)) != 4:
        return None
    zero_points = bytes(parameters.vector(ZERO_POINT, 8)[:8])
    zero_point = struct.unpack("<q", zero_points)[0] if len(zero_points) == 8 else 0
    return struct.unpack("<f", parameters.vector(SCALE, 4))[0], zero_point
