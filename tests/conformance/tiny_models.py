"""Models of a few hundred bytes, made when a test needs them: y = x + x for four float32 values, for each engine."""

from pathlib import Path
from typing import Any

import msgspec

NAMES = ("x", "y")
SHAPE = (1, 4)


def stub_model(path: Path) -> Path:
    """A stub; its answer is not x + x, but as deterministic."""
    tensors = [{"name": name, "dtype": "float32", "shape": SHAPE} for name in NAMES]
    path.write_bytes(msgspec.json.encode({"inputs": tensors[:1], "outputs": tensors[1:]}))
    return path


def onnx_model(path: Path, operator: str = "Add", domain: str = "", element: int = 1) -> Path:
    """An ONNX file with one node; `element` is a TensorProto.DataType, 1 is float32."""
    from onnx import helper

    ends = [helper.make_tensor_value_info(name, element, SHAPE) for name in NAMES]
    taken = ["x", "x"] if operator == "Add" else ["x"]
    graph = helper.make_graph([helper.make_node(operator, taken, ["y"], domain=domain)], "tiny", ends[:1], ends[1:])
    imports = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())
    return path


def onnx_quantized_model(path: Path) -> Path:
    """uint8 in with scale 0.5 and zero point 128, int8 out with scale 0.25 and zero point -3."""
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, SHAPE),
        helper.make_tensor_value_info("y", TensorProto.INT8, SHAPE),
    ]
    numbers = [
        helper.make_tensor("in_scale", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("in_zero", TensorProto.UINT8, [], bytes([128]), raw=True),
        helper.make_tensor("out_scale", TensorProto.FLOAT, [], [0.25]),
        helper.make_tensor("out_zero", TensorProto.INT8, [], [-3]),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "in_scale", "in_zero"], ["real"]),
        helper.make_node("QuantizeLinear", ["real", "out_scale", "out_zero"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def onnx_reshape_model(path: Path) -> Path:
    """Any number of values in, of which there must be three."""
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]),
    ]
    three = helper.make_tensor("three", TensorProto.INT64, [1], [3])
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "three"], ["y"])], "tiny", ends[:1], ends[1:], [three])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def onnx_open_model(path: Path, *axes: str | int, operator: str = "Add", element: int = 1) -> Path:
    """An ONNX file with one node and these axes: "Add" gives x + x, "Identity" what it is given (8: texts)."""
    from onnx import helper

    ends = [helper.make_tensor_value_info(name, element, axes) for name in NAMES]
    taken = ["x", "x"] if operator == "Add" else ["x"]
    graph = helper.make_graph([helper.make_node(operator, taken, ["y"])], "tiny", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def tflite_recurrent_model(path: Path) -> Path:
    """A .tflite file with a variable: y = x + what the variable holds, which then becomes y."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    buffers = [schema.BufferT(), schema.BufferT(), schema.BufferT()]
    buffers[1].data, buffers[2].data = np.eye(4, dtype=np.float32).tobytes(), np.zeros(4, np.float32).tobytes()
    ends = {
        "x": ([1, 1, 4], 0),
        "w": ([4, 4], 1),
        "r": ([4, 4], 1),
        "b": ([4], 2),
        "h": ([1, 4], 0),
        "y": ([1, 1, 4], 0),
    }
    tensors = []
    for name, (shape, buffer) in ends.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, schema.TensorType.FLOAT32, buffer
        tensor.isVariable = name == "h"
        tensors.append(tensor)
    node = schema.OperatorT()
    node.inputs, node.outputs, node.opcodeIndex = [0, 1, 2, 3, 4], [5], 0
    node.builtinOptionsType, node.builtinOptions = (
        schema.BuiltinOptions.SequenceRNNOptions,
        schema.SequenceRNNOptionsT(),
    )
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [5], [node]
    return _written(path, schema.ModelT(), graph, code, buffers)


def tflite_model(path: Path, custom_operator: str | None = None) -> Path:
    """A .tflite file with one node, written with the schema that LiteRT ships."""
    from ai_edge_litert import schema_py_generated as schema

    tensors = []
    for name in NAMES:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(SHAPE), schema.TensorType.FLOAT32, 0
        tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    node = schema.OperatorT()
    node.inputs, node.outputs, node.opcodeIndex = [0, 0], [1], 0
    if custom_operator is None:
        node.builtinOptionsType, node.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    else:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = custom_operator
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [1], [node]
    return _written(path, schema.ModelT(), graph, code, [schema.BufferT()])


def _written(path: Path, model: Any, graph: Any, code: Any, buffers: list[Any]) -> Path:
    import flatbuffers  # type: ignore[import-untyped]

    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
