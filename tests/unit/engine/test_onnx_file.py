"""What an ONNX file says about itself, read without the library."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edge_node.engine.catalog import find
from edge_node.engine.onnx_file import onnx_facts, read_onnx_facts
from edge_node.errors import BadInput
from tests.conformance.tiny_models import onnx_model, onnx_quantized_model

NAMED = (ValueError, IndexError, struct.error)
"""The errors that the reader documents."""
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
    facts = read_onnx_facts(onnx_quantized_model(tmp_path / "m.onnx"))
    assert facts.quantization["x"] == (0.5, 128)
    assert facts.quantization["y"] == (0.25, -3)
    assert facts.external == ()


def test_a_float_model_has_none(tmp_path: Path) -> None:
    assert read_onnx_facts(onnx_model(tmp_path / "m.onnx")).quantization == {}


def test_weights_in_other_files_are_found_also_in_inner_graphs() -> None:
    constant = helper.make_node("Constant", [], ["c"], value=external_tensor("inner.bin"))
    inner = helper.make_graph([constant], "inner", [], [END("c", TensorProto.FLOAT, [1, 4])])
    node = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([node], "g", [], [], [external_tensor("outer.bin")])
    facts = onnx_facts(memoryview(helper.make_model(graph).SerializeToString()))
    assert facts.external == ("outer.bin", "inner.bin")


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "a/../../b.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = model_with_weights_at(tmp_path / "m.onnx", location)
    with pytest.raises(BadInput, match="outside its folder: save it with its weights inside"):
        find("onnxruntime").open(path, threads=1)


def test_weights_that_are_not_there_are_refused_by_name(tmp_path: Path) -> None:
    path = model_with_weights_at(tmp_path / "m.onnx", "weights.bin")
    with pytest.raises(BadInput, match=r"keeps weights in 'weights.bin', which is not there"):
        find("onnxruntime").open(path, threads=1)


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(struct.pack("<4f", 1, 2, 3, 4))
    session = find("onnxruntime").open(model_with_weights_at(tmp_path / "m.onnx", "weights.bin"), threads=1)
    session.close()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with contextlib.suppress(*NAMED):
        onnx_facts(memoryview(content))


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
    with contextlib.suppress(*NAMED):
        onnx_facts(memoryview(bytes(content)))


def test_graphs_nested_without_end_are_refused(tmp_path: Path) -> None:
    """A small file may hold thousands of graphs inside one another: no ONNX model does."""
    content = b""
    for _ in range(3000):
        for field in (6, 5, 1):  # an attribute's graph, a node's attribute, a graph's node
            content = bytes([field << 3 | 2]) + length(len(content)) + content
    path = tmp_path / "deep.onnx"
    path.write_bytes(bytes([7 << 3 | 2]) + length(len(content)) + content)
    with pytest.raises(BadInput, match="is not an ONNX model"):
        read_onnx_facts(path)


def length(value: int) -> bytes:
    """A protobuf varint."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
