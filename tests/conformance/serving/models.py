"""A model repository for clients written for Triton, made of ONNX files of a few hundred bytes.

simple: sums and differences of 16 integers, batched. simple_string: the same with
their digits as texts. simple_identity: texts. simple_sequence, implicit_sequence: sums along a sequence.
dynamic: any two axes. every_type: one input and output of each datatype. classes: scores of eight labelled classes.
"""

from collections.abc import Sequence
from pathlib import Path

from onnx import NodeProto, TensorProto, helper

TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
"""Every datatype of the protocol."""
LABELS = ("ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen")
CLASSES = """
name: "classes"
max_batch_size: 4
output [{ name: "scores" label_filename: "labels.txt" }]
"""
ACCUMULATOR = """
name = "simple_sequence"
task = "tensor"

[[variants]]
file = "model.onnx"
engine = "onnxruntime"

[[inputs]]
name = "INPUT"

[[inputs]]
name = "BEFORE"
kind = "state"
from = "AFTER"

[[outputs]]
name = "OUTPUT"
decode = "tensor"
"""
IMPLICIT = """
name: "implicit_sequence"
max_batch_size: 8
sequence_batching {
  max_sequence_idle_microseconds: 30000000
  state [{
    input_name: "BEFORE" output_name: "AFTER" data_type: TYPE_INT32 dims: [ -1 ]
    initial_state: { data_type: TYPE_INT32 dims: [ 1 ] data_file: "hundred" name: "begin" }
  }]
}
"""
Shape = Sequence[int | str]
End = tuple[str, str, Shape]
"""Name, datatype and shape of an input or output."""
Node = tuple[str, list[str], list[str]]
"""Operator, inputs, outputs."""


def repository(folder: Path) -> Path:
    """Write all models below a folder."""
    _simple(folder / "simple")
    _string(folder / "simple_string")
    _identity(folder / "simple_identity" / "1", ("INPUT0", "OUTPUT0"), "BYTES", ["n", "k"])
    _identity(folder / "dynamic" / "1", ("INPUT0", "OUTPUT0"), "FP32", [1, "a", "b"])
    _every_type(folder / "every_type" / "1")
    _classes(folder / "classes")
    _accumulator(folder / "simple_sequence")
    _implicit(folder / "implicit_sequence")
    return folder


def _simple(folder: Path) -> None:
    """Two versions of Triton's own example."""
    taken, given = ["INPUT0", "INPUT1"], ["OUTPUT0", "OUTPUT1"]
    nodes: list[Node] = [("Add", taken, given[:1]), ("Sub", taken, given[1:])]
    for version in ("1", "2"):
        _write(folder / version, nodes, _ends(taken, "INT32", ["n", 16]), _ends(given, "INT32", ["n", 16]))
    config = 'name: "simple"\nmax_batch_size: 8\ndynamic_batching { }\nversion_policy { all { } }\n'
    (folder / "config.pbtxt").write_text(config)


def _string(folder: Path) -> None:
    """Triton's example that reads numbers of texts and writes texts."""
    taken, given = ["INPUT0", "INPUT1"], ["OUTPUT0", "OUTPUT1"]
    read = [helper.make_node("Cast", [name], [f"{name}_n"], to=TensorProto.INT32) for name in taken]
    nodes = [helper.make_node(op, ["INPUT0_n", "INPUT1_n"], [f"{op}_n"]) for op in ("Add", "Sub")]
    written = [
        helper.make_node("Cast", [f"{op}_n"], [name], to=TensorProto.STRING)
        for op, name in zip(("Add", "Sub"), given, strict=True)
    ]
    ends = _ends(taken, "BYTES", ["n", 16]), _ends(given, "BYTES", ["n", 16])
    _write(folder / "1", [*read, *nodes, *written], *ends)
    (folder / "config.pbtxt").write_text('name: "simple_string"\nmax_batch_size: 8\n')


def _identity(folder: Path, names: tuple[str, str], datatype: str, shape: Shape) -> None:
    taken, given = names
    _write(folder, [("Identity", [taken], [given])], _ends([taken], datatype, shape), _ends([given], datatype, shape))


def _ends(names: Sequence[str], datatype: str, shape: Shape) -> list[End]:
    return [(name, datatype, shape) for name in names]


def _every_type(folder: Path) -> None:
    nodes: list[Node] = [("Identity", [f"IN_{name}"], [f"OUT_{name}"]) for name in TYPES]
    inputs: list[End] = [(f"IN_{name}", name, [2, 3]) for name in TYPES]
    _write(folder, nodes, inputs, [(f"OUT_{name}", name, [2, 3]) for name in TYPES])


def _classes(folder: Path) -> None:
    _identity(folder / "1", ("data", "scores"), "FP32", ["n", len(LABELS)])
    (folder / "labels.txt").write_text("\n".join(LABELS))
    (folder / "config.pbtxt").write_text(CLASSES)


def _accumulator(folder: Path) -> None:
    nodes: list[Node] = [("Add", ["INPUT", "BEFORE"], ["OUTPUT"]), ("Identity", ["OUTPUT"], ["AFTER"])]
    _write(folder, nodes, _ends(["INPUT", "BEFORE"], "INT32", [1, 1]), _ends(["OUTPUT", "AFTER"], "INT32", [1, 1]))
    (folder / "model.toml").write_text(ACCUMULATOR)


def _implicit(folder: Path) -> None:
    """The same with Triton's own words for its state, which begins with a hundred."""
    nodes: list[Node] = [("Add", ["INPUT", "BEFORE"], ["OUTPUT"]), ("Identity", ["OUTPUT"], ["AFTER"])]
    taken, given = _ends(["INPUT", "BEFORE"], "INT32", ["n", 1]), _ends(["OUTPUT", "AFTER"], "INT32", ["n", 1])
    _write(folder / "1", nodes, taken, given)
    (folder / "config.pbtxt").write_text(IMPLICIT)
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "hundred").write_bytes((100).to_bytes(4, "little"))


def _write(folder: Path, nodes: Sequence[Node | NodeProto], inputs: Sequence[End], outputs: Sequence[End]) -> None:
    """Write `model.onnx`."""
    taken, given = (
        [helper.make_tensor_value_info(name, TYPES[datatype], shape) for name, datatype, shape in side]
        for side in (inputs, outputs)
    )
    made = [node if isinstance(node, NodeProto) else helper.make_node(*node) for node in nodes]
    graph = helper.make_graph(made, "tiny", taken, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
