"""Which `.onnx` files are admitted. What attacks is in the corpus (tests/hostile); here is every rule, at its edge."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import SparseTensorProto, TensorProto, TypeProto, helper, numpy_helper

from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed
from protos.admission.onnx import check_onnx
from protos.admission.onnx_operators import check_growth
from tests.conformance.tiny_models import onnx_quantized_model
from tests.hostile.onnx_files import ENDS, add, function_chain, loop, model_of, nested
from tests.hostile.onnx_growth import announced, declared, from_constants, scalar, shape
from tests.hostile.protobuf import number, text

SMALL = replace(LIMITS, fields=20_000)


def check(content: bytes, limits: Limits = SMALL, **files: int) -> None:
    check_onnx(memoryview(content), lambda name: files.get(name.replace(".", "_")), limits)


def refuse(said: str, content: bytes, limits: Limits = SMALL, **files: int) -> None:
    with pytest.raises(Inadmissible, match=said):
        check(content, limits, **files)


def constant(**attributes: Any) -> bytes:
    """A model with a Constant node."""
    node = helper.make_node("Constant", [], ["s"], **attributes)
    return model_of([node, helper.make_node("ConstantOfShape", ["s"], ["t"]), add()])


def test_models_in_order_are_admitted(tmp_path: Path) -> None:
    check(model_of([add()]))
    check(onnx_quantized_model(tmp_path / "m.onnx").read_bytes())
    check(function_chain(8))
    check(loop(1000))
    check(model_of([helper.make_node("FusedMatMul", ["x", "x"], ["y"], domain="com.microsoft")]))


def test_a_graph_is_counted_with_its_functions_inlined() -> None:
    refuse("more than 100 nodes when every call is inlined", function_chain(8), replace(SMALL, nodes=100))
    refuse("calls of more than 4 levels", function_chain(8), replace(SMALL, call_depth=4))
    refuse("more than 7 functions", function_chain(8), replace(SMALL, functions=7))
    refuse("more than 1 nodes", model_of([add("x", "t"), add()]), replace(SMALL, nodes=1))


def test_a_function_twice_and_a_number_for_one_are_malformed() -> None:
    function = text(25, text(1, "f") + text(10, "own"))
    refuse("the function 'f' twice", function * 2 + text(7, b""))
    refuse("in place of a function", number(25, 1) + text(7, b""))


def test_functions_are_looked_into_like_graphs() -> None:
    huge = helper.make_tensor_value_info("v", TensorProto.FLOAT, [2**40]).SerializeToString()
    refuse("a declared tensor of more", text(25, text(1, "f") + text(12, huge)) + text(7, b""))
    default = helper.make_attribute("a", helper.make_tensor("t", TensorProto.FLOAT, [2], [1, 2]))
    content = text(25, text(1, "f") + text(11, default.SerializeToString())) + text(7, b"")
    check(content)
    refuse("constants", content, replace(SMALL, tensors=0))


def test_a_training_section_is_looked_into() -> None:
    check(text(20, text(1, b"")) + text(7, b""))
    refuse("deeper than 16", text(20, text(2, nested(20)[2:])) + text(7, b""))
    refuse("more than 3 parts", text(14, b"") * 3 + text(7, b""), replace(SMALL, parts=3))


def test_graphs_nest_as_deep_as_exporters_write() -> None:
    check(nested(15))
    refuse("graphs nested deeper than 16", nested(16))
    refuse("in place of a graph", number(7, 5))


def test_types_nest_and_declare_shapes() -> None:
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, [2**40])
    for outer in (helper.make_sequence_type_proto(inner), helper.make_optional_type_proto(inner)):
        ends = [helper.make_value_info("x", outer)]
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends, [])
        refuse("a declared tensor of more", helper.make_model(graph).SerializeToString())
    content = b""
    for _ in range(20):
        content = text(4, text(1, content))  # TypeProto.sequence_type, its elem_type
    refuse("types nested deeper than 16", text(7, text(11, text(2, content))))
    check(text(7, text(11, text(1, "x")) + text(11, text(1, "y")) + text(13, text(2, text(1, text(2, text(9, "")))))))
    refuse("in place of a shape", text(7, text(11, text(2, text(1, number(2, 1))))))
    attribute = helper.make_node("Optional", ["x"], ["y"], type=TypeProto(tensor_type=inner.tensor_type))
    refuse("a declared tensor of more", model_of([attribute]))


@pytest.mark.parametrize("dims", [["n", 4], [-1, 4], [0, 4], None])
def test_open_axes_are_admitted(dims: list[Any] | None) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    check(helper.make_model(graph).SerializeToString())


TENSORS = [
    numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "raw"),
    helper.make_tensor("floats", TensorProto.FLOAT, [3], [1, 2, 3]),
    helper.make_tensor("doubles", TensorProto.DOUBLE, [3], [1, 2, 3]),
    helper.make_tensor("ints", TensorProto.INT8, [3], [1, -2, 3]),
    helper.make_tensor("longs", TensorProto.INT64, [3], [1, -2, 3]),
    helper.make_tensor("wide", TensorProto.UINT64, [3], [1, 2, 3]),
    helper.make_tensor("nibbles", TensorProto.INT4, [5], [1, -2, 3, 4, 5]),
    helper.make_tensor("halves", TensorProto.FLOAT16, [3], [1, 2, 3]),
    numpy_helper.from_array(np.array(["a", ""], object), "texts"),
    helper.make_tensor("empty", TensorProto.FLOAT, [0, 5], []),
    helper.make_tensor("scalar", TensorProto.BOOL, [], [True]),
    numpy_helper.from_array(np.array([1 + 2j, 3], np.complex64), "complex"),
    helper.make_tensor("many", TensorProto.INT64, [200], range(200)),
    helper.make_tensor("many floats", TensorProto.FLOAT, [200], range(200)),
]


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: tensor.name)
def test_every_way_to_store_a_tensor_is_admitted(tensor: TensorProto) -> None:
    check(model_of([add()], [tensor]))


@pytest.mark.parametrize("tensor", [t for t in TENSORS if t.name != "empty"], ids=lambda tensor: tensor.name)
def test_a_tensor_has_as_much_as_it_says(tensor: TensorProto) -> None:
    more = TensorProto()
    more.CopyFrom(tensor)
    more.dims.append(30)
    refuse("says .* values and has .* bytes", model_of([add()], [more]))


def test_tensors_are_added_up() -> None:
    many = [helper.make_tensor(f"t{i}", TensorProto.FLOAT, [4], [0] * 4) for i in range(3)]
    refuse("more than 2 constants", model_of([add()], many), replace(SMALL, tensors=2))
    refuse("more than 47 bytes of constants", model_of([add()], many), replace(SMALL, weight_bytes=47))


def test_a_tensor_that_readers_could_understand_in_two_ways_is_malformed() -> None:
    def initializer(content: bytes) -> bytes:
        return text(7, text(5, content))

    refuse("field 9 of a tensor twice", initializer(text(9, b"") * 2))
    refuse("in place of a tensor", text(7, number(5, 1)))
    refuse("in too many places", initializer(text(13, b"") * 40))
    refuse("two values of 'location'", initializer(text(13, text(1, "location") + text(2, "w")) * 2))
    refuse("floats of other than 4 bytes", initializer(text(4, b"12345")))
    refuse("more than 32 axes", initializer(text(1, b"\1" * 400)))
    refuse("more than 32 axes", initializer(number(1, 1) * 33))
    check(initializer(number(13, 1) + number(1, 0)))
    check(initializer(number(1, 1) + number(2, 7) + number(7, 3)))
    check(initializer(number(1, 1) + number(2, 7) + text(9, b"1234") + text(6, b"1234")))


def outside(**entries: str) -> bytes:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return model_of([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def test_weights_in_a_listed_file_are_admitted_where_the_file_has_them() -> None:
    check(outside(location="w.bin"), w_bin=16)
    check(outside(location="w.bin", offset="4", length="16"), w_bin=20)
    refuse("behind the end of 'w.bin'", outside(location="w.bin"), w_bin=15)
    refuse("behind the end of 'w.bin'", outside(location="w.bin", offset="5", length="16"), w_bin=20)
    refuse("no count of bytes", outside(location="w.bin", offset="-5"), w_bin=20)
    refuse("which is no file of the bundle", outside(location="w.bin"))
    refuse("outside its folder", outside(offset="0"))


@pytest.mark.parametrize("location", ["/etc/passwd", "../w", "a/../../w", "a\\b", "./w", "w\0"])
def test_weights_elsewhere_are_refused(location: str) -> None:
    refuse("outside its folder", outside(location=location))


def test_sparse_tensors_count_as_dense_ones() -> None:
    values, indices = helper.make_tensor("w", 1, [1], [1.0]), helper.make_tensor("i", 7, [1], [0])
    tensor: SparseTensorProto = helper.make_sparse_tensor(values, indices, [100])
    content = text(7, text(15, tensor.SerializeToString()))
    check(content)
    check(text(7, text(15, b"")))
    refuse("more than 99 values", content, replace(SMALL, tensor_elements=99))
    refuse("more than 799 bytes", content, replace(SMALL, weight_bytes=799))
    node = helper.make_node("Constant", [], ["y"], sparse_value=tensor)
    refuse("more than 99 values", model_of([node]), replace(SMALL, tensor_elements=99))


def test_nodes_may_hold_lists_of_graphs_and_tensors() -> None:
    graph = helper.make_graph([add()], "g", ENDS[:1], ENDS[1:])
    node = helper.make_node("Own", ["x"], ["y"], graphs=[graph, graph], tensors=TENSORS[:2])
    check(model_of([node]))
    refuse("more than 2 nodes", model_of([node]), replace(SMALL, nodes=2))
    refuse("more than 1 of field 5", model_of([node]), replace(SMALL, attributes=1))


def test_constants_of_every_form_say_how_large_a_tensor_is() -> None:
    refuse("a tensor of ConstantOfShape", constant(value_ints=[2**20, 2**20]))
    refuse("a tensor of ConstantOfShape", constant(value_int=2**40))
    refuse("a tensor of ConstantOfShape", constant(value=shape(2**40)))
    raw = numpy_helper.from_array(np.array([2**40]), "s")
    refuse("a tensor of ConstantOfShape", constant(value=raw))
    check(constant(value_ints=[4, 4]))
    check(constant(value=helper.make_tensor("h", TensorProto.FLOAT16, [1], [1])))


def test_sizes_are_judged_at_their_limit() -> None:
    limits = Limits(tensor_elements=100)
    check_growth("Tile", [None, (10, 10)], limits)
    check_growth("Tile", [None, None], limits)
    check_growth("Tile", [None], limits)
    check_growth("Pad", [None, (2, 2, 7, 7)], limits)
    check_growth("Resize", [None, None, (0.5, 100.0)], limits)
    check_growth("Range", [(0,), (100,), (1,)], limits)
    check_growth("Range", [(0,), None, (1,)], limits)
    check_growth("Range", [(0,), (5,), (0,)], limits)
    for operator, values in (("Tile", (10, 11)), ("Pad", (3, 2, 7, 7)), ("Tile", (float("nan"),)), ("Tile", (101,))):
        with pytest.raises(Inadmissible, match=f"a tensor of {operator} of more than 100 values"):
            check_growth(operator, [None, values], limits)
    with pytest.raises(Inadmissible, match="a tensor of Range"):
        check_growth("Range", [(0,), (101,), (1,)], limits)


def test_attributes_say_how_large_a_tensor_is() -> None:
    refuse("a shape|declared tensor of 33 axes", announced([1] * 33))
    check(model_of([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[200, 200, 200, 200])]))
    refuse("a tensor of MaxPool", model_of([helper.make_node("MaxPool", ["x"], ["y"], pads=[2**30, 0, 0, 0])]))
    refuse("a tensor of Range", from_constants("Range", ["a", "b", "c"], *map(scalar, "abc", (0, -(2**40), -1))))


def test_loops_that_only_their_count_ends_are_short() -> None:
    check(loop(1_000_000))
    refuse("more than 1000000 steps that nothing ends", loop(1_000_001))
    refuse("that nothing ends", loop(None))
    check(loop(2**62, computed=True))


def test_loops_in_loops_are_multiplied() -> None:
    inner = helper.make_node("Loop", ["n", "go", "a"], ["b"], body=_body([helper.make_node("Identity", ["a"], ["b"])]))
    outer = helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=_body([inner]))
    constants = [scalar("n", 2000), helper.make_tensor("yes", TensorProto.BOOL, [], [True])]
    refuse("a loop of more", model_of([outer], constants))
    check(model_of([outer], [scalar("n", 900), constants[1]]))
    check(model_of([outer], constants[1:]))


def _body(nodes: list[Any]) -> Any:
    """The body of a loop that gives its condition back unchanged, without a copy."""
    taken = [("i", 7, []), ("go", 9, []), ("a", 1, [1, 4])]
    ends = [helper.make_tensor_value_info(*end) for end in taken]
    return helper.make_graph(nodes, "body", ends, [ends[1], helper.make_tensor_value_info("b", 1, [1, 4])])


def test_a_condition_that_is_copied_in_a_ring_ends() -> None:
    ring = [helper.make_node("Identity", ["p"], ["q"]), helper.make_node("Identity", ["q"], ["p"])]
    body = _body([*ring, helper.make_node("Identity", ["a"], ["b"])])
    body.output[0].name = "p"
    check(model_of([helper.make_node("Loop", ["", "", "x"], ["y"], body=body)]))


def test_operators_of_nobody_are_refused_by_name() -> None:
    refuse("needs the operator evil.Run", model_of([helper.make_node("Run", ["x"], ["y"], domain="evil")]))
    refuse("reads|decodes images", model_of([helper.make_node("ImageDecoder", ["x"], ["y"])]))


@given(st.binary(max_size=400))
def test_no_bytes_give_anything_but_the_refusal(content: bytes) -> None:
    with suppress(Inadmissible):
        check(content)


@given(st.data())
def test_a_changed_model_gives_nothing_but_the_refusal(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([function_chain(6), loop(5), nested(5), declared([1], b"1234")])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with suppress(Inadmissible):
        check(bytes(content))


def test_a_missing_graph_is_malformed() -> None:
    with pytest.raises(Malformed, match="no graph"):
        check(b"")
