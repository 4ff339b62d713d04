"""Hostile `.tflite` files, written with the schema that LiteRT ships, and then broken by hand."""

import struct
from collections.abc import Sequence
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
from ai_edge_litert import schema_py_generated as schema

from tests.hostile.kinds import Recipe, contained, refused, sparse

Operator = schema.BuiltinOperator
GiB = 1024**3


def tensor(shape: Sequence[int] = (1, 4), buffer: int = 0, element: int = schema.TensorType.FLOAT32) -> Any:
    """A tensor."""
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = "t", list(shape), element, buffer
    return made


def node(taken: Sequence[int], given: Sequence[int], opcode: int = 0) -> Any:
    """A node without options."""
    made = schema.OperatorT()
    made.inputs, made.outputs, made.opcodeIndex = list(taken), list(given), opcode
    return made


def graph(tensors: Sequence[Any], nodes: Sequence[Any]) -> Any:
    """A graph from its first tensor to its last."""
    made = schema.SubGraphT()
    made.tensors, made.operators, made.inputs, made.outputs = list(tensors), list(nodes), [0], [len(tensors) - 1]
    return made


def code(operator: int, custom: str | None = None) -> Any:
    """An entry of the table of operators."""
    made = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.customCode = operator, min(operator, 127), custom
    made.version = 1
    return made


def file_of(graphs: Sequence[Any], codes: Sequence[Any], data: Sequence[bytes] = ()) -> bytes:
    """The file; buffer 0 is empty, the others hold the data."""
    buffers = [schema.BufferT() for _ in range(len(data) + 1)]
    for buffer, content in zip(buffers[1:], data, strict=True):
        buffer.data = list(content)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, list(codes), list(graphs), buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def small(
    operator: int = Operator.ABS, taken: Sequence[int] = (0,), custom: str | None = None, **changes: Any
) -> bytes:
    """y = |x|, with fields of its one node changed."""
    one = node(taken, [1])
    for name, value in changes.items():
        setattr(one, name, value)
    return file_of([graph([tensor(), tensor()], [one])], [code(operator, custom)])


def integers(*values: int) -> bytes:
    """int32 as a buffer holds them."""
    return struct.pack(f"<{len(values)}i", *values)


def sized(operator: int, values: Sequence[int], first: int = 0) -> bytes:
    """A node whose second argument, a constant, says how large its output is (or its first)."""
    constant = tensor([len(values)], buffer=1, element=schema.TensorType.INT32)
    taken = [0, 1] if first == 0 else [1, 0]
    inner = graph([tensor(), constant, tensor([1])], [node(taken, [2])])
    return file_of([inner], [code(operator)], [integers(*values)])


def calling(*bodies: int, operator: int = Operator.WHILE) -> bytes:
    """Graph i calls graph bodies[i]."""
    graphs = []
    for body in bodies:
        one = node([0], [1])
        if operator == Operator.WHILE:
            one.builtinOptionsType, one.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()
            one.builtinOptions.condSubgraphIndex, one.builtinOptions.bodySubgraphIndex = len(bodies), body
        else:
            one.builtinOptionsType, one.builtinOptions = schema.BuiltinOptions.IfOptions, schema.IfOptionsT()
            one.builtinOptions.thenSubgraphIndex = one.builtinOptions.elseSubgraphIndex = body
        graphs.append(graph([tensor(), tensor()], [one]))
    graphs.append(graph([tensor(), tensor()], [node([0], [1], 1)]))
    return file_of(graphs, [code(operator), code(Operator.ABS)])


def endless_while() -> bytes:
    """A condition that is a constant true."""
    main = node([0], [1])
    main.builtinOptionsType, main.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()
    main.builtinOptions.condSubgraphIndex, main.builtinOptions.bodySubgraphIndex = 1, 2
    true = tensor([1], element=schema.TensorType.BOOL)
    equal = node([0, 0], [1], 1)
    equal.builtinOptionsType, equal.builtinOptions = schema.BuiltinOptions.EqualOptions, schema.EqualOptionsT()
    graphs = [
        graph([tensor([1]), tensor([1])], [main]),
        graph([tensor([1]), true], [equal]),
        graph([tensor([1]), tensor([1])], [node([0], [1], 2)]),
    ]
    return file_of(graphs, [code(Operator.WHILE), code(Operator.EQUAL), code(Operator.ABS)])


def patched(content: bytes, at: int, value: int) -> bytes:
    """The content with one 32-bit number changed."""
    return content[:at] + struct.pack("<I", value & 0xFFFFFFFF) + content[at + 4 :]


def root_of(content: bytes) -> int:
    """Where the root table stands."""
    return int(struct.unpack_from("<I", content)[0])


def field_of(content: bytes, table: int, field: int) -> int:
    """Where a field of a table stands."""
    vtable = table - struct.unpack_from("<i", content, table)[0]
    return table + int(struct.unpack_from("<H", content, vtable + 4 + 2 * field)[0])


def offset_outside(field: int) -> bytes:
    """The root table points behind the end."""
    content = small()
    return patched(content, field_of(content, root_of(content), field), 0x7FFFFFF0)


def length_outside(field: int) -> bytes:
    """A vector of the root table is longer than the file."""
    content = small()
    at = field_of(content, root_of(content), field)
    return patched(content, at + int(struct.unpack_from("<I", content, at)[0]), 0xFFFFFFF0)


def buffer_outside() -> bytes:
    """A buffer kept behind the flatbuffer (as files above 2 GB do), where there is nothing."""
    model = schema.ModelT()
    far = schema.BufferT()
    far.offset, far.size = 1 << 40, 1 << 20
    model.version, model.operatorCodes, model.buffers = 3, [code(Operator.ABS)], [schema.BufferT(), far]
    model.subgraphs = [graph([tensor(), tensor()], [node([0], [1])])]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def metadata_outside() -> bytes:
    """Metadata in a buffer that is not there."""
    model = schema.ModelT()
    entry = schema.MetadataT()
    entry.name, entry.buffer = "m", 77
    model.version, model.operatorCodes, model.buffers, model.metadata = 3, [code(0)], [schema.BufferT()], [entry]
    model.subgraphs = [graph([tensor(), tensor()], [node([0, 0], [1])])]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def shaped(*shape: int, element: int = schema.TensorType.FLOAT32) -> bytes:
    """A graph that ends in a tensor of that shape."""
    return file_of([graph([tensor(), tensor(shape, element=element)], [node([0], [1])])], [code(Operator.ABS)])


def many_nodes() -> bytes:
    """A vector of ten million nodes behind what was the end of the file."""
    content = small()
    subgraphs = field_of(content, root_of(content), 2)
    vector = subgraphs + int(struct.unpack_from("<I", content, subgraphs)[0])
    table = vector + 4 + int(struct.unpack_from("<I", content, vector + 4)[0])
    at, count = field_of(content, table, 3), 10_000_000
    return patched(content, at, len(content) - at) + struct.pack("<I", count) + b"\4\0\0\0" * count


TFLITE_FILES: tuple[Recipe, ...] = (
    refused("offset_codes.tflite", "operator codes behind the end of the file", lambda: offset_outside(1)),
    refused("offset_graphs.tflite", "graphs behind the end of the file", lambda: offset_outside(2)),
    refused("offset_buffers.tflite", "buffers behind the end of the file", lambda: offset_outside(4)),
    refused("length_codes.tflite", "more operator codes than the file holds", lambda: length_outside(1)),
    refused("length_graphs.tflite", "more graphs than the file holds", lambda: length_outside(2)),
    refused("length_buffers.tflite", "more buffers than the file holds", lambda: length_outside(4)),
    refused("root_outside.tflite", "the root table behind the end", lambda: patched(small(), 0, 0x7FFFFFFF)),
    refused(
        "vtable_outside.tflite", "a vtable before the start", lambda: patched(small(), root_of(small()), 0x7FFFFFFF)
    ),
    refused("buffer_outside.tflite", "a buffer behind the end of the file", buffer_outside),
    refused("metadata_outside.tflite", "metadata in a buffer that is not there", metadata_outside),
    refused("tensor_outside.tflite", "a node that takes tensor 1,000,000", lambda: small(taken=[1_000_000])),
    refused("opcode_outside.tflite", "a node of operator 500", lambda: small(opcodeIndex=500)),
    refused(
        "buffer_index.tflite",
        "a tensor in buffer 99",
        lambda: file_of([graph([tensor(), tensor(buffer=99)], [node([0], [1])])], [code(Operator.ABS)]),
    ),
    refused("while_itself.tflite", "a loop whose body is itself", lambda: calling(0)),
    refused("graphs_in_a_ring.tflite", "graphs that call one another", lambda: calling(1, 2, 0, operator=Operator.IF)),
    refused("deep_calls.tflite", "300 graphs that call one another in a row", lambda: calling(*range(1, 301))),
    refused("body_outside.tflite", "a loop whose body is graph 70", lambda: calling(70)),
    refused("huge_shape.tflite", "a tensor of 160 GB", lambda: shaped(200_000, 200_000)),
    refused("overflowing_shape.tflite", "axes whose product does not fit 64 bits", lambda: shaped(*[2**31 - 1] * 3)),
    refused("negative_shape.tflite", "a negative axis", lambda: shaped(-5, 4)),
    refused(
        "too_little.tflite",
        "a constant of 4 MB in 4 bytes",
        lambda: file_of(
            [graph([tensor(), tensor([1000, 1000], buffer=1)], [node([0], [1])])], [code(Operator.ABS)], [b"1234"]
        ),
    ),
    refused("fill.tflite", "160 GB of one value", lambda: sized(Operator.FILL, [200_000, 200_000], first=1)),
    refused("broadcast.tflite", "x broadcast to 160 GB", lambda: sized(Operator.BROADCAST_TO, [200_000, 50_000, 1, 4])),
    refused("tile.tflite", "x ten billion times", lambda: sized(Operator.TILE, [100_000, 100_000])),
    refused("pad.tflite", "a margin of 160 GB", lambda: sized(Operator.PAD, [2**31 - 1, 2**31 - 1, 0, 9])),
    refused("own_operator.tflite", "an operator of nobody", lambda: small(Operator.CUSTOM, custom="EvilOperator")),
    refused("many_nodes.tflite", "ten million nodes", many_nodes),
    refused("truncated.tflite", "cut off", lambda: small()[:-64]),
    refused("noise.tflite", "no flatbuffer", lambda: bytes(range(256)) * 64),
    refused("empty.tflite", "nothing", lambda: b""),
    sparse("enormous.tflite", "12 GiB in one hole", 12 * GiB, small()),
    contained("endless_while.tflite", "a loop whose condition is computed, and always true", endless_while),
)
