"""What an ONNX file says about itself, read without the library."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edge_node.engine.admission import admit
from edge_node.engine.catalog import find
from edge_node.engine.onnx_file import quantization, read_quantization
from edge_node.errors import BadInput, Refused
from protos.admission.limits import Inadmissible
from tests.conformance.tiny_models import onnx_model, onnx_quantized_model

END = helper.make_tensor_value_info


def external_tensor(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="16")
    return tensor


def model_with_weights_at(path: Path, location: str) -> Path:
    ends = [END(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [external_tensor(location)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_the_quantization_of_the_ends_is_found(tmp_path: Path) -> None:
    found = read_quantization(onnx_quantized_model(tmp_path / "m.onnx"))
    assert found["x"] == (0.5, 128)
    assert found["y"] == (0.25, -3)


def test_a_float_model_has_none(tmp_path: Path) -> None:
    assert read_quantization(onnx_model(tmp_path / "m.onnx")) == {}


def test_weights_in_other_files_are_found_also_in_inner_graphs(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=external_tensor("inner.bin"))
    inner = helper.make_graph([constant], "inner", [], [END("c", TensorProto.FLOAT, [1, 4])])
    node = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([node], "g", [], [], [external_tensor("outer.bin")])
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    for name in ("inner.bin", "outer.bin"):
        (tmp_path / name).write_bytes(bytes(16))
    assert admit(tmp_path / "m.onnx", "onnxruntime") == ("outer.bin", "inner.bin")


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "a/../../b.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = model_with_weights_at(tmp_path / "m.onnx", location)
    with pytest.raises(Refused, match=r"m\.onnx is refused: it keeps weights at .*, outside its folder"):
        find("onnxruntime").open(path, threads=1)


def test_weights_that_are_not_there_are_refused_by_name(tmp_path: Path) -> None:
    path = model_with_weights_at(tmp_path / "m.onnx", "weights.bin")
    with pytest.raises(Refused, match=r"keeps weights in 'weights.bin', which is no file of the bundle or its folder"):
        find("onnxruntime").open(path, threads=1)


def test_weights_behind_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").symlink_to("/etc/passwd")
    path = model_with_weights_at(tmp_path / "m.onnx", "weights.bin")
    with pytest.raises(Refused, match=r"keeps weights in 'weights.bin', which is no file"):
        find("onnxruntime").open(path, threads=1)


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(struct.pack("<4f", 1, 2, 3, 4))
    session = find("onnxruntime").open(model_with_weights_at(tmp_path / "m.onnx", "weights.bin"), threads=1)
    session.close()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with contextlib.suppress(Inadmissible):
        quantization(memoryview(content))


@given(st.integers(0, 2**31 - 1))
def test_a_model_with_bytes_changed_is_read_or_refused(seed: int) -> None:
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    numbers = [
        helper.make_tensor("s", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("z", TensorProto.INT8, [], [-3]),
    ]
    graph = helper.make_graph([node], "g", [END("x", 1, [1])], [END("y", 3, [1])], numbers)
    content = bytearray(helper.make_model(graph).SerializeToString())
    content[seed % len(content)] ^= 1 + (seed // len(content)) % 255
    with contextlib.suppress(Inadmissible):
        quantization(memoryview(bytes(content)))


@pytest.mark.parametrize("content", [b"", b"\x3a\x7f", b"<html>"])
def test_what_is_no_model_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"m\.onnx is not an ONNX model, or it is truncated"):
        admit(path, "onnxruntime")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.onnx: No such file or directory: give the path of a model file"):
        read_quantization(tmp_path / "none.onnx")
    (tmp_path / "cut.onnx").write_bytes(b"\x3a\x7f")
    with pytest.raises(BadInput, match=r"cut\.onnx is not an ONNX model"):
        read_quantization(tmp_path / "cut.onnx")
