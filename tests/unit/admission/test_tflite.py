"""Which `.tflite` files are admitted. What attacks is in the corpus (tests/hostile); here is every rule."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from protos.admission.flatbuffer import root
from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed, Work
from protos.admission.tflite import check_tflite
from protos.admission.tflite_operators import CUSTOM_OPERATORS, check_growth
from tests.conformance.tiny_models import tflite_model
from tests.hostile.tflite_files import (
    Operator,
    calling,
    code,
    field_of,
    file_of,
    graph,
    node,
    patched,
    root_of,
    shaped,
    sized,
    small,
    tensor,
)

SMALL = replace(LIMITS, fields=20_000)


def check(content: bytes, limits: Limits = SMALL) -> None:
    check_tflite(memoryview(content), limits)


def refuse(said: str, content: bytes, limits: Limits = SMALL) -> None:
    with pytest.raises(Inadmissible, match=said):
        check(content, limits)


def model(change: Callable[[Any], None], nodes: Sequence[Any] = (), codes: Sequence[Any] = ()) -> bytes:
    """A model in order, changed before it is written."""
    made = schema.ModelT()
    made.version, made.buffers = 3, [schema.BufferT()]
    made.operatorCodes = list(codes) or [code(Operator.ABS)]
    made.subgraphs = [graph([tensor(), tensor()], list(nodes) or [node([0], [1])])]
    change(made)
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_models_in_order_are_admitted(tmp_path: Path) -> None:
    check(small())
    check(tflite_model(tmp_path / "m.tflite").read_bytes())
    check(calling(1))
    check(small(taken=[-1]))
    for name in CUSTOM_OPERATORS:
        check(small(Operator.CUSTOM, custom=name))


def test_an_operator_of_nobody_is_refused_by_name() -> None:
    refuse("needs the operator Evil, which litert does not have", small(Operator.CUSTOM, custom="Evil"))


def test_things_are_counted_before_they_are_read() -> None:
    refuse("more than 0 nodes|0 are taken", small(), replace(SMALL, nodes=0))
    refuse("more than 1 tensors", small(), replace(SMALL, tensors=1))
    refuse("2 graphs; at most 1", calling(1), replace(SMALL, functions=1))
    refuse("more than 3 fields", small(), Limits(fields=3))
    refuse("a shape of 2 entries; at most 1", small(), replace(SMALL, axes=1))
    refuse("more than 3 nodes when every call is inlined", calling(1, 2), replace(SMALL, nodes=3))
    twice = model(lambda made: made.subgraphs.append(graph([tensor(), tensor()], [node([0], [1])])))
    refuse("more than 3 tensors", twice, replace(SMALL, tensors=3))
    refuse("more than 1 nodes", model(lambda _: None, [node([0], [1])] * 2), replace(SMALL, nodes=1))


def test_names_are_short_texts() -> None:
    long = model(lambda made: setattr(made.subgraphs[0].tensors[0], "name", "n" * 70_000))
    refuse("a name of 70000 bytes", long)
    refuse("not UTF-8", model(lambda made: setattr(made.subgraphs[0].tensors[0], "name", b"\xff\xff")))


def test_a_model_without_graphs_is_malformed() -> None:
    refuse("no graph", model(lambda made: setattr(made, "subgraphs", [])))
    refuse("no such identifier", b"")
    with pytest.raises(Malformed):
        check(small()[:8])


def test_weights_in_other_files_are_refused() -> None:
    def elsewhere(made: Any) -> None:
        made.externalBufferGroups = [schema.ExternalBufferGroupT()]
        made.externalBufferGroups[0].name = "/etc/passwd"

    refuse("weights in other files", model(elsewhere))


def test_constants_have_what_their_shape_says() -> None:
    def with_data(count: int, size: int, element: int) -> bytes:
        two = [tensor(), tensor([count], 1, element)]
        return file_of([graph(two, [node([0], [1])])], [code(Operator.ABS)], [bytes(size)])

    check(with_data(4, 16, schema.TensorType.FLOAT32))
    check(with_data(5, 3, schema.TensorType.INT4))
    check(with_data(4, 1, schema.TensorType.STRING))
    refuse("says 4 values and has 15 bytes", with_data(4, 15, schema.TensorType.FLOAT32))
    refuse("says 7 values and has 3 bytes", with_data(7, 3, schema.TensorType.INT4))
    refuse("more than 15 bytes of constants", with_data(4, 16, 0), replace(SMALL, weight_bytes=15))


def test_shapes_are_judged_at_their_limit() -> None:
    check(shaped(10, 10), replace(SMALL, tensor_elements=100))
    refuse("a tensor of more than 100 values", shaped(10, 11), replace(SMALL, tensor_elements=100))
    check(shaped(0, 2**31 - 1))
    signed = model(lambda made: setattr(made.subgraphs[0].tensors[0], "shapeSignature", [-1, 4]))
    check(signed)
    refuse("axis -2", model(lambda made: setattr(made.subgraphs[0].tensors[0], "shapeSignature", [-2, 4])))


def test_a_buffer_behind_the_flatbuffer_is_in_the_file() -> None:
    def far(size: int) -> bytes:
        def change(made: Any) -> None:
            made.buffers.append(schema.BufferT())
            made.buffers[1].offset, made.buffers[1].size = 100, size

        return model(change)

    check(far(16))
    refuse("a buffer behind the end", far(10_000))


def test_quantization_and_sparsity_are_in_the_file() -> None:
    def with_parts(made: Any) -> None:
        first = made.subgraphs[0].tensors[0]
        first.quantization, first.sparsity = schema.QuantizationParametersT(), schema.SparsityParametersT()
        first.quantization.scale, first.quantization.zeroPoint = [0.5], [3]
        first.sparsity.traversalOrder, first.sparsity.dimMetadata = [0, 1], [schema.DimensionMetadataT()]

    check(model(with_parts))


def test_metadata_and_signatures_refer_to_what_is_there() -> None:
    def described(buffer: int, number: int, subgraph: int) -> bytes:
        def change(made: Any) -> None:
            made.metadata, made.metadataBuffer = [schema.MetadataT()], [number]
            made.metadata[0].name, made.metadata[0].buffer = "m", buffer
            made.signatureDefs = [schema.SignatureDefT()]
            made.signatureDefs[0].subgraphIndex = subgraph

        return model(change)

    check(described(0, 0, 0))
    refuse("buffer 1 of 1", described(1, 0, 0))
    refuse("buffer 1 of 1", described(0, 1, 0))
    refuse("a signature of a graph", described(0, 0, 1))


def test_a_graph_that_calls_is_counted_with_what_it_calls() -> None:
    refuse("levels, or without end", calling(0, 0, operator=Operator.IF))
    refuse("runs graph -1", calling(-1))
    refuse("operator code 1 of 1", small(opcodeIndex=1))
    refuse("tensor 2 of 2", small(taken=[2]))
    refuse("tensor -2 of 2", small(taken=[-2]))
    case = node([0], [1])
    case.builtinOptions2Type, case.builtinOptions2 = schema.BuiltinOptions2.StablehloCaseOptions, None
    case.builtinOptions2 = schema.StablehloCaseOptionsT()
    case.builtinOptions2.branchSubgraphIndices = [0]
    codes = [code(Operator.STABLEHLO_CASE)]
    refuse("levels, or without end", model(lambda _: None, [case], codes))
    check(model(lambda _: None, [node([0], [1])], codes))
    check(model(lambda _: None, [node([0], [1])], [code(Operator.WHILE)]))


def test_options_that_are_vectors_are_in_the_file() -> None:
    reshape = node([0], [1])
    reshape.builtinOptionsType, reshape.builtinOptions = schema.BuiltinOptions.ReshapeOptions, schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = [1, 4]
    check(model(lambda _: None, [reshape], [code(Operator.RESHAPE)]))
    check(small(Operator.RESHAPE))
    large = node([0], [1])
    large.largeCustomOptionsOffset, large.largeCustomOptionsSize = 8, 1 << 40
    refuse("a buffer behind the end", model(lambda _: None, [large]))


def test_sizes_are_judged_at_their_limit() -> None:
    limits = Limits(tensor_elements=100)
    check_growth(Operator.TILE, [None, (10, 10)], limits)
    check_growth(Operator.TILE, [None], limits)
    check_growth(Operator.ABS, [(1000,)], limits)
    check_growth(Operator.PAD, [None, (2, 7, 2, 7)], limits)
    check_growth(Operator.RANGE, [(0,), (100,), (1,)], limits)
    check_growth(Operator.RANGE, [(0,), None, (1,)], limits)
    for operator, arguments in (
        (Operator.TILE, [None, (10, 11)]),
        (Operator.PAD, [None, (3, 7, 2, 7)]),
        (Operator.FILL, [(101,), None]),
        (Operator.RANGE, [(0,), (-101,), (-1,)]),
    ):
        with pytest.raises(Inadmissible, match=f"a tensor of operator {operator} of more than 100 values"):
            check_growth(operator, arguments, limits)
    check(sized(Operator.TILE, [2, 2]))


@pytest.mark.parametrize("field", [0, 1, 2])
def test_a_vtable_that_leaves_the_file_is_malformed(field: int) -> None:
    content = small()
    table = root_of(content)
    size = patched(
        content, table - int.from_bytes(content[table : table + 4], "little", signed=True), 0xFFFF0002 + field
    )
    refuse("behind the end of the file", size)


def test_a_table_knows_its_fields() -> None:
    table = root(memoryview(small()), b"TFL3", Work(LIMITS))
    assert table.integer(0, "<I") == 3
    assert table.integer(200, default=7) == 7
    assert table.table(8) is None
    assert field_of(small(), root_of(small()), 0) > 0


@given(st.binary(max_size=300))
def test_no_bytes_give_anything_but_the_refusal(content: bytes) -> None:
    with suppress(Inadmissible):
        check(b"\x10\0\0\0TFL3" + content)


WHOLE = (small(), calling(1), sized(Operator.TILE, [2, 2]))


@given(st.data())
def test_a_changed_model_gives_nothing_but_the_refusal(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Inadmissible):
        check(bytes(content))
