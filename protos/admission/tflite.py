"""Whether a `.tflite` file may be given to an engine. Nothing is run, nothing is copied, every look is counted.

Tables and fields: schema.fbs of TensorFlow Lite, see `tflite_operators`. Engines follow its offsets and indices without
looking: an offset outside the file would be read wherever it leads.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from protos.admission.expansion import Body, check_expansion
from protos.admission.flatbuffer import Buffer, Table, root
from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed, Work
from protos.admission.shapes import elements
from protos.admission.tflite_operators import CUSTOM, called, check_custom, check_growth, check_options

IDENTIFIER = b"TFL3"
CODES, GRAPHS, BUFFERS, METADATA_BUFFERS, METADATA, SIGNATURES, GROUPS, EXTERNAL = 1, 2, 4, 5, 6, 7, 8, 9
OLD_CODE, CUSTOM_CODE, CODE = 0, 1, 3
TENSORS, INPUTS, OUTPUTS, OPERATORS = 0, 1, 2, 3
SHAPE, TYPE, BUFFER, NAME, QUANTIZATION, IS_VARIABLE, SPARSITY, SIGNATURE = 0, 1, 2, 3, 4, 5, 6, 7
OPCODE, NODE_INPUTS, NODE_OUTPUTS, CUSTOM_OPTIONS, MUTATED, INTERMEDIATES, LARGE_OFFSET, LARGE_SIZE = (
    0,
    1,
    2,
    5,
    7,
    8,
    9,
    10,
)
DATA, DATA_OFFSET, DATA_SIZE = 0, 1, 2
METADATA_NAME, METADATA_BUFFER, SIGNATURE_GRAPH = 0, 1, 4
BITS = {0: 32, 1: 16, 2: 32, 3: 8, 4: 64, 6: 8, 7: 16, 8: 64, 9: 8, 10: 64, 11: 128, 12: 64, 15: 32, 16: 16, 17: 4}
BITS |= {18: 16, 19: 2, 20: 4, 21: 8, 22: 8}
"""Of one value, by TensorType; strings, resources and variants have none."""
INTEGERS = {2: "i", 4: "q"}
FEW = 64
"""Values of a constant that is read: shapes, counts, factors."""


@dataclass(frozen=True)
class Tensor:
    """A tensor: the type of its values, how many they are, and the content of its buffer."""

    element: int
    count: int
    content: Buffer


class Model:
    """The tables that graphs refer to: operators by code, buffers by index."""

    def __init__(self, content: Buffer, limits: Limits) -> None:
        """Read them.

        Raises:
            Malformed, Inadmissible: outside the file, or beyond a limit.
        """
        self.content, self.limits = content, limits
        self.work = Work(limits)
        self.root = root(content, IDENTIFIER, self.work)
        if self.root.count(GROUPS) or self.root.count(EXTERNAL):
            raise Inadmissible("weights in other files: convert it with its weights inside")
        self.codes = [_code(code) for code in self._tables(CODES, limits.nodes, "operator codes")]
        self.buffers = [self._data(buffer) for buffer in self._tables(BUFFERS, limits.tensors, "buffers")]
        self.graphs = list(self._tables(GRAPHS, limits.functions, "graphs"))
        self._tensors = self._weights = 0

    def tensor(self, table: Table) -> Tensor:
        """A tensor, checked.

        Raises:
            Malformed, Inadmissible: outside the file, or beyond a limit.
        """
        dims = table.integers(SHAPE, self.limits.axes, "a shape")
        count = elements(dims, self.limits, "a tensor")
        signature = table.integers(SIGNATURE, self.limits.axes, "a shape")
        elements((1 if axis == -1 else axis for axis in signature), self.limits, "a tensor")
        table.text(NAME)
        _check_parts(table)
        tensor = Tensor(table.integer(TYPE, "<b"), count, self.buffer(table.integer(BUFFER, "<I")))
        self._add(tensor)
        sparse = table.table(SPARSITY) is not None
        if tensor.content and not sparse and count * BITS.get(tensor.element, 0) > 8 * len(tensor.content):
            raise Inadmissible(f"a tensor that says {count} values and has {len(tensor.content)} bytes")
        return tensor

    def buffer(self, index: int) -> Buffer:
        """The content of a buffer.

        Raises:
            Malformed: there is no such buffer.
        """
        if index >= len(self.buffers):
            raise Malformed(f"buffer {index} of {len(self.buffers)}")
        return self.buffers[index]

    def operator(self, node: Table) -> int:
        """The operator of a node.

        Raises:
            Malformed: there is no such code.
        """
        index = node.integer(OPCODE, "<I")
        if index >= len(self.codes):
            raise Malformed(f"operator code {index} of {len(self.codes)}")
        return self.codes[index]

    def far(self, offset: int, size: int) -> Buffer:
        """What lies behind the flatbuffer in the same file.

        Raises:
            Malformed: it ends behind the end of the file.
        """
        if offset + size > len(self.content):
            raise Malformed("a buffer behind the end of the file")
        return self.content[offset : offset + size]

    def _add(self, tensor: Tensor) -> None:
        self._tensors += 1
        self._weights += tensor.count * BITS.get(tensor.element, 8) // 8 if tensor.content else 0
        if self._tensors > self.limits.tensors:
            raise Inadmissible(f"more than {self.limits.tensors} tensors")
        if self._weights > self.limits.weight_bytes:
            raise Inadmissible(f"more than {self.limits.weight_bytes} bytes of constants")

    def _data(self, table: Table) -> Buffer:
        offset, size = table.integer(DATA_OFFSET, "<Q"), table.integer(DATA_SIZE, "<Q")
        return self.far(offset, size) if offset > 1 else table.vector(DATA, 1)

    def _tables(self, field: int, most: int, what: str) -> Iterator[Table]:
        if self.root.count(field) > most:
            raise Inadmissible(f"{self.root.count(field)} {what}; at most {most} are taken")
        return self.root.tables(field)


def check_tflite(content: Buffer, limits: Limits = LIMITS) -> None:
    """Return if the file is within the limits.

    Raises:
        Malformed: no TFLite model, or cut off.
        Inadmissible: beyond a limit.
    """
    model = Model(content, limits)
    if not model.graphs:
        raise Malformed("no graph")
    bodies = {index: _body(model, graph) for index, graph in enumerate(model.graphs)}
    everything: Body[int] = Body(0, dict.fromkeys(bodies, 1))
    check_expansion(everything, bodies, limits)
    _check_metadata(model)


def _body(model: Model, graph: Table) -> Body[int]:
    """A graph, checked: its nodes, and which graphs they run."""
    if graph.count(OPERATORS) > model.limits.nodes:
        raise Inadmissible(f"more than {model.limits.nodes} nodes")
    if graph.count(TENSORS) > model.limits.tensors:
        raise Inadmissible(f"more than {model.limits.tensors} tensors")
    tensors = [model.tensor(table) for table in graph.tables(TENSORS)]
    for field in (INPUTS, OUTPUTS):
        _check_indices(graph.integers(field, model.limits.tensors, "the ends of a graph"), tensors)
    body: Body[int] = Body(graph.count(OPERATORS))
    for node in graph.tables(OPERATORS):
        for index in _node(model, node, tensors):
            body.call(index)
    return body


def _node(model: Model, node: Table, tensors: list[Tensor]) -> Iterator[int]:
    """A node, checked: the graphs that it runs."""
    operator = model.operator(node)
    inputs = node.integers(NODE_INPUTS, model.limits.tensors, "the inputs of a node")
    for field in (NODE_OUTPUTS, INTERMEDIATES):
        _check_indices(node.integers(field, model.limits.tensors, "the outputs of a node"), tensors)
    _check_indices(inputs, tensors)
    check_options(operator, node)
    node.vector(CUSTOM_OPTIONS, 1)
    node.vector(MUTATED, 1)
    model.far(node.integer(LARGE_OFFSET, "<Q"), node.integer(LARGE_SIZE, "<Q"))
    check_growth(operator, [_values(tensors, index) for index in inputs[:4]], model.limits)
    for index in called(operator, node):
        if not 0 <= index < len(model.graphs):
            raise Malformed(f"a node that runs graph {index} of {len(model.graphs)}")
        yield index


def _values(tensors: list[Tensor], index: int) -> tuple[int, ...] | None:
    """The values of a small constant of integers; None where it is computed, or left out."""
    tensor = tensors[index] if index >= 0 else Tensor(-1, 0, memoryview(b""))
    layout = INTEGERS.get(tensor.element)
    if layout is None or not tensor.content or tensor.count > FEW:
        return None
    size = struct.calcsize(f"<{tensor.count}{layout}")
    return struct.unpack(f"<{tensor.count}{layout}", tensor.content[:size])


def _check_indices(indices: tuple[int, ...], tensors: list[Tensor]) -> None:
    """-1 is an optional tensor that is left out."""
    for index in indices:
        if not -1 <= index < len(tensors):
            raise Malformed(f"tensor {index} of {len(tensors)}")


def _check_parts(table: Table) -> None:
    """The vectors that belong to a tensor are inside the file."""
    quantization, sparsity = table.table(QUANTIZATION), table.table(SPARSITY)
    if quantization is not None:
        for field, width in ((0, 4), (1, 4), (2, 4), (3, 8)):  # min, max, scale, zero point
            quantization.vector(field, width)
    if sparsity is not None:
        for field in (0, 1):  # traversal order, block map
            sparsity.vector(field, 4)
        for dimension in sparsity.tables(2):
            dimension.table(3)
            dimension.table(5)


def _check_metadata(model: Model) -> None:
    """Metadata and signatures refer to buffers and graphs that are there."""
    for table in model.root.tables(METADATA):
        table.text(METADATA_NAME)
        model.buffer(table.integer(METADATA_BUFFER, "<I"))
    for index in model.root.integers(METADATA_BUFFERS, model.limits.tensors, "metadata"):
        model.buffer(max(0, index))
    for table in model.root.tables(SIGNATURES):
        if table.integer(SIGNATURE_GRAPH, "<I") >= len(model.graphs):
            raise Malformed("a signature of a graph that is not there")


def _code(code: Table) -> int:
    """The operator of a code: the newer field goes beyond 127."""
    operator = max(code.integer(OLD_CODE, "<b"), code.integer(CODE))
    if operator == CUSTOM:
        check_custom(code.text(CUSTOM_CODE))
    return operator
