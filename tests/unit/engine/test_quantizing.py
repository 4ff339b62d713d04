"""What is refused before anything is quantized."""

from pathlib import Path

import pytest

from edge_node.engine.quantizing import Quantizing, quantized
from edge_node.errors import BadInput

onnx = pytest.importorskip("onnx", reason="models are made with the onnx package")
pytest.importorskip("onnxruntime.quantization", reason="nothing is quantized without it")


def test_a_model_that_is_quantized_already_is_said_to_be_so(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("DequantizeLinear", ["x", "scale"], ["y"])
    scale = onnx.helper.make_tensor("scale", onnx.TensorProto.FLOAT, (), [0.5])
    x, y = value("x", onnx.TensorProto.UINT8, [1]), value("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "quantized", [x], [y], [scale])
    file = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph), file)
    with pytest.raises(BadInput, match=r"^model\.onnx is quantized already: quantize the float model"):
        quantized(file, (), Quantizing(), tmp_path)
