"""Files of values as samples of a model."""

from pathlib import Path

import numpy as np
import pytest

from edge_node.cli.model import chosen_variant
from edge_node.cli.samples import as_samples
from edge_node.errors import BadInput
from edge_node.pipeline.bundle import Bundle
from protos.bundle import Manifest, Task, Variant


def test_values_of_one_sample_take_its_shape() -> None:
    assert as_samples(np.zeros(6, np.float32), (None, 2, 3), "f").shape == (1, 1, 2, 3)


def test_values_of_several_samples_are_several() -> None:
    assert as_samples(np.zeros((4, 2, 3), np.float32), (1, 2, 3), "f").shape == (4, 1, 2, 3)


def test_where_the_model_leaves_axes_open_the_file_is_one_sample() -> None:
    assert as_samples(np.zeros((5, 7), np.float32), (1, None), "f").shape == (1, 5, 7)


@pytest.mark.parametrize("count", [0, 5, 7])
def test_values_that_do_not_fill_are_refused(count: int) -> None:
    with pytest.raises(BadInput, match="no whole number of samples of 6"):
        as_samples(np.zeros(count, np.float32), (1, 2, 3), "f")


LITERT, ONNX, NOTHING = "litert".__eq__, "onnxruntime".__eq__, "".__eq__
BUNDLE = Bundle(
    folder=Path("b"),
    manifest=Manifest(
        name="m",
        task=Task.TENSOR,
        variants=(Variant(file="m.tflite", engine="litert"), Variant(file="m.onnx", engine="onnxruntime")),
    ),
)


def test_the_variant_that_is_asked_for_is_taken_else_the_first_that_runs_here() -> None:
    assert chosen_variant(BUNDLE, "m.onnx", None, LITERT).file == "m.onnx"
    assert chosen_variant(BUNDLE, None, "onnxruntime", LITERT).file == "m.onnx"
    assert chosen_variant(BUNDLE, None, None, ONNX).file == "m.onnx"
    assert chosen_variant(BUNDLE, None, None, NOTHING).file == "m.tflite"


def test_a_variant_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BadInput, match=r"b has no variant of engine stub: it has m.tflite \(litert\), m.onnx"):
        chosen_variant(BUNDLE, None, "stub", NOTHING)
