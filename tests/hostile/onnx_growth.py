"""Hostile `.onnx` files by size: tensors that they declare, or make of constants, and cannot have."""

from typing import Any

from onnx import NodeProto, SparseTensorProto, TensorProto, helper

from tests.hostile.kinds import Recipe, contained, refused
from tests.hostile.onnx_files import model_of
from tests.hostile.protobuf import number, text

MANY = 40_000_000_000
"""Of float32: 160 GB."""


def shape(*values: int) -> TensorProto:
    """A constant named s."""
    return helper.make_tensor("s", TensorProto.INT64, [len(values)], values)


def scalar(name: str, value: int) -> TensorProto:
    """A constant without axes."""
    return helper.make_tensor(name, TensorProto.INT64, [], [value])


def grown(*nodes: NodeProto, constants: list[TensorProto]) -> bytes:
    """A model that makes a tensor named big, and looks at all of it."""
    last = helper.make_node("ReduceMax", ["big"], ["largest"], keepdims=0)
    cast = helper.make_node("Cast", ["largest"], ["y"], to=TensorProto.FLOAT)
    return model_of([*nodes, last, cast], constants)


def from_constants(operator: str, taken: list[str], *constants: TensorProto, **attributes: Any) -> bytes:
    """One operator whose arguments say how much."""
    return grown(helper.make_node(operator, taken, ["big"], **attributes), constants=list(constants))


def declared(dims: list[int], data: bytes = b"") -> bytes:
    """An initializer that says how large it is, and has next to nothing."""
    tensor = b"".join(number(1, dim) for dim in dims) + number(2, 1) + text(8, "w") + text(9, data)
    node = text(1, "x") + text(1, "w") + text(2, "y") + text(4, "Add")
    return number(1, 8) + text(8, number(2, 17)) + text(7, text(1, node) + text(5, tensor))


def announced(dims: list[int]) -> bytes:
    """An input of that shape."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def sparse_dense() -> bytes:
    """A sparse initializer with one value, and 160 GB when it is made dense."""
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    tensor: SparseTensorProto = helper.make_sparse_tensor(values, indices, [MANY])
    node = text(1, "x") + text(1, "w") + text(2, "y") + text(4, "Add")
    return number(1, 8) + text(8, number(2, 17)) + text(7, text(1, node) + text(15, tensor.SerializeToString()))


def doubling() -> bytes:
    """Forty times twice as long."""
    nodes = [helper.make_node("Concat", [f"t{i}", f"t{i}"], [f"t{i + 1}"], axis=0) for i in range(40)]
    first = helper.make_node("Identity", ["x"], ["t0"])
    return grown(first, *nodes, helper.make_node("Identity", ["t40"], ["big"]), constants=[])


def multiplied() -> bytes:
    """A shape that is computed."""
    half = helper.make_tensor("half", TensorProto.INT64, [1], [200_000])
    product = helper.make_node("Mul", ["half", "half"], ["s"])
    return grown(product, helper.make_node("ConstantOfShape", ["s"], ["big"]), constants=[half])


def busy() -> bytes:
    """A million products of matrices."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("MatMul", ["v", "v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [2000, 2000]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [2000, 2000]),
        ],
    )
    constants = [
        shape(2000, 2000),
        scalar("trips", 1_000_000),
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
    ]
    first = helper.make_node("ConstantOfShape", ["s"], ["v0"])
    again = helper.make_node("Loop", ["trips", "yes", "v0"], ["big"], body=body)
    return grown(first, again, constants=constants)


ONNX_GROWTH: tuple[Recipe, ...] = (
    refused("constant_of_shape.onnx", "160 GB of zeros", lambda: from_constants("ConstantOfShape", ["s"], shape(MANY))),
    refused(
        "expand.onnx", "x expanded to 160 GB", lambda: from_constants("Expand", ["x", "s"], shape(MANY // 4, 1, 4))
    ),
    refused("tile.onnx", "x ten billion times", lambda: from_constants("Tile", ["x", "s"], shape(MANY // 4, 1))),
    refused("pad.onnx", "160 GB of margin", lambda: from_constants("Pad", ["x", "s"], shape(0, MANY // 4, 0, 0))),
    refused(
        "range.onnx",
        "160 GB of numbers",
        lambda: from_constants("Range", ["a", "b", "c"], scalar("a", 0), scalar("b", MANY), scalar("c", 1)),
    ),
    refused(
        "one_hot.onnx",
        "160 GB of classes",
        lambda: from_constants(
            "OneHot",
            ["i", "depth", "v"],
            scalar("depth", MANY),
            helper.make_tensor("i", TensorProto.INT64, [1], [0]),
            helper.make_tensor("v", TensorProto.FLOAT, [2], [0, 1]),
        ),
    ),
    refused("random.onnx", "160 GB of noise", lambda: from_constants("RandomNormal", [], shape=[MANY])),
    refused("resize.onnx", "x resized to 160 GB", lambda: from_constants("Resize", ["x", "", "", "s"], shape(1, MANY))),
    refused("declared.onnx", "an initializer of 160 GB without content", lambda: declared([MANY])),
    refused("negative.onnx", "an initializer with a negative axis", lambda: declared([-4, 1], b"\0" * 16)),
    refused("overflow.onnx", "axes whose product does not fit 64 bits", lambda: declared([2**40, 2**40, 2**40])),
    refused("many_axes.onnx", "a million axes", lambda: declared([1] * 1_000_000, b"\0" * 4)),
    refused("sparse_dense.onnx", "a sparse tensor of 160 GB", sparse_dense),
    refused("announced.onnx", "an input of 160 GB", lambda: announced([1, MANY])),
    contained("doubling.onnx", "a tensor that is doubled forty times", doubling),
    contained("multiplied.onnx", "160 GB whose shape is computed", multiplied),
    contained("busy.onnx", "hours of multiplication", busy),
)
