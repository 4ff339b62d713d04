"""Versions of a small classifier that are good until a frame is bright: ONNX graphs whose answer depends on what they
see, and stubs for what no graph does (a process that dies, memory that is not given back).
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from edge_node.pipeline.golden import Vector, vector_bytes

LABELS = ("cat", "dog", "bird", "fish")
SCORES = (0.1, 0.7, 0.2, 0.0)
BRIGHT = 180.0
"""The mean of a frame from which on the bad ones are bad."""

MANIFEST = """
name = "m"
task = "classification"
[[variants]]
file = "model.onnx"
engine = "onnxruntime"
[[inputs]]
kind = "image"
[[outputs]]
decode = "classification"
labels = "labels.txt"
[golden]
vectors = "golden/*.npz"
agree = "values"
tolerance = 0.001
"""

Node = onnx.NodeProto
DARK, LIGHT = 60, 20
"""How many frames of the film are dark, and bright after them."""


def film(folder: Path) -> Path:
    """A folder of photos, dark for a while and then bright."""
    folder.mkdir()
    for number in range(DARK + LIGHT):
        grey = 10 if number < DARK else 220
        Image.fromarray(np.full((8, 8, 3), grey, np.uint8)).save(folder / f"{number:03d}.png")
    return folder


def classifier(folder: Path, nodes: list[Node], answer: tuple[float, ...] = SCORES, axis: int | None = 4) -> Path:
    """A bundle: `nodes` make the output y from `scores` and `mean`; its golden vector, of a dark frame, is `answer`."""
    (folder / "golden").mkdir(parents=True)
    (folder / "model.toml").write_text(MANIFEST)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    (folder / "model.onnx").write_bytes(_model(nodes, axis))
    vector = Vector((np.zeros((8, 8, 3), np.uint8),), (np.array([answer], np.float32),))
    (folder / "golden" / "dark.npz").write_bytes(vector_bytes(vector))
    return folder


def good(folder: Path) -> Path:
    """Always the same scores."""
    return classifier(folder, [helper.make_node("Identity", ["scores"], ["y"])])


def better(folder: Path) -> Path:
    """Another good one."""
    return classifier(folder, [helper.make_node("Abs", ["scores"], ["y"])])


def disagreeing(folder: Path) -> Path:
    """Its golden vectors say something else."""
    return classifier(folder, [helper.make_node("Identity", ["scores"], ["y"])], answer=SCORES[::-1])


def not_a_number(folder: Path) -> Path:
    """Scores of a bright frame are NaN: the square root of what is below zero, less itself."""
    nodes = [
        helper.make_node("Sub", ["bright", "mean"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Sub", ["root", "root"], ["nothing"]),
        helper.make_node("Add", ["scores", "nothing"], ["y"]),
    ]
    return classifier(folder, nodes)


def another_shape(folder: Path) -> Path:
    """Of a bright frame only the first scores are given."""
    nodes = [
        helper.make_node("Less", ["mean", "bright"], ["dark"]),
        helper.make_node("Cast", ["dark"], ["all"], to=TensorProto.INT64),
        helper.make_node("Mul", ["all", "two"], ["more"]),
        helper.make_node("Add", ["more", "two"], ["ends"]),
        helper.make_node("Slice", ["scores", "zero", "ends", "one"], ["y"]),
    ]
    return classifier(folder, nodes, axis=None)


def endless(folder: Path) -> Path:
    """On a bright frame a loop goes on for ever."""
    condition, state = (
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (("on_in", TensorProto.BOOL, []), ("state_in", TensorProto.FLOAT, [1, 4]))
    )
    body = helper.make_graph(
        [helper.make_node("And", ["on_in", "on"], ["on_out"]), helper.make_node("Abs", ["state_in"], ["state_out"])],
        "round",
        [helper.make_tensor_value_info("round", TensorProto.INT64, []), condition, state],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, [1, 4]),
        ],
    )
    nodes = [
        helper.make_node("Less", ["bright", "mean"], ["is_bright"]),
        helper.make_node("Squeeze", ["is_bright"], ["on"]),
        helper.make_node("Loop", ["", "on", "scores"], ["y"], body=body),
    ]
    return classifier(folder, nodes)


def _model(nodes: list[Node], axis: int | None) -> bytes:
    frame = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 8, 8, 3])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "n" if axis is None else axis])
    look = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["one_mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["one_mean", "one"], ["mean"]),
    ]
    numbers = [
        helper.make_tensor("scores", TensorProto.FLOAT, [1, 4], SCORES),
        helper.make_tensor("bright", TensorProto.FLOAT, [1], [BRIGHT]),
        *(helper.make_tensor(name, TensorProto.INT64, [1], [at]) for at, name in enumerate(("zero", "one", "two"))),
    ]
    graph = helper.make_graph([*look, *nodes], "m", [frame], [answer], numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
