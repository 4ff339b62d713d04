"""Small models for programs that were written for Triton's clients: its own `simple`, texts, classes, sequences."""

from collections.abc import Sequence
from pathlib import Path

from onnx import NodeProto, TensorProto, ValueInfoProto, helper

LABELS = ("red", "green", "blue", "gray")
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
"""Every datatype of the protocol; the model `echo_<datatype>` gives back what it is given."""

COLORS = """
name = "colors"
task = "classification"
[[variants]]
file = "model.onnx"
engine = "onnxruntime"
[[inputs]]
kind = "tensor"
name = "x"
[[outputs]]
decode = "classification"
name = "y"
labels = "labels.txt"
"""
SUM = """
name = "sum"
task = "tensor"
[[variants]]
file = "model.onnx"
engine = "onnxruntime"
[[inputs]]
kind = "tensor"
name = "x"
[[inputs]]
kind = "state"
name = "state"
from = "next"
[[outputs]]
decode = "tensor"
name = "y"
"""


def write_models(folder: Path) -> list[Path]:
    """What `edge-node serve` is given."""
    paths = [_simple(folder / "simple.onnx"), _colors(folder / "colors"), _sum(folder / "sum")]
    return [*paths, *(_echo(folder / f"echo_{name.lower()}.onnx", element) for name, element in TYPES.items())]


def _simple(path: Path) -> Path:
    """Triton's example: the sum and the difference of two inputs."""
    names = ("INPUT0", "INPUT1"), ("OUTPUT0", "OUTPUT1")
    ends = [[helper.make_tensor_value_info(name, TensorProto.INT32, ["n", 16]) for name in side] for side in names]
    nodes = [helper.make_node(what, names[0], [name]) for what, name in zip(("Add", "Sub"), names[1], strict=True)]
    return _write(path, nodes, *ends)


def _colors(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.toml").write_text(COLORS)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    _identity(folder / "model.onnx", TensorProto.FLOAT, ["n", len(LABELS)])
    return folder


def _sum(folder: Path) -> Path:
    """Keeps the sum of what it was given in a sequence."""
    folder.mkdir()
    (folder / "model.toml").write_text(SUM)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("x", "state", "y", "next")]
    nodes = [helper.make_node("Add", ["x", "state"], ["y"]), helper.make_node("Identity", ["y"], ["next"])]
    _write(folder / "model.onnx", nodes, ends[:2], ends[2:])
    return folder


def _echo(path: Path, element: int) -> Path:
    return _identity(path, element, ["n", 2])


def _identity(path: Path, element: int, axes: Sequence[str | int]) -> Path:
    ends = [helper.make_tensor_value_info(name, element, axes) for name in ("x", "y")]
    return _write(path, [helper.make_node("Identity", ["x"], ["y"])], ends[:1], ends[1:])


def _write(
    path: Path, nodes: Sequence[NodeProto], inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
) -> Path:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
