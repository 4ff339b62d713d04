"""The manifest that a raw file gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.engine.base import TensorSpec
from edge_node.pipeline.manifest import manifest_for, name_of
from protos.bundle import Input, Output, Task
from protos.identity import is_name

IMAGE = TensorSpec("input", "uint8", (1, 224, 224, 3))


def guessed(inputs: list[TensorSpec], outputs: list[TensorSpec], labels: str | None = None) -> tuple[Task, Output]:
    manifest = manifest_for("m.onnx", "onnxruntime", inputs, outputs, labels)
    return manifest.task, manifest.outputs[0]


def out(*shape: int | None, name: str = "y", dtype: str = "float32", scale: float | None = None) -> TensorSpec:
    return TensorSpec(name, dtype, shape, scale, None if scale is None else 0)


def test_an_image_and_a_row_of_scores_is_a_classification() -> None:
    task, output = guessed([IMAGE], [out(1, 1001, dtype="uint8", scale=1 / 256)], "labels.txt")
    assert task is Task.CLASSIFICATION
    assert (output.labels, output.top_k, output.activation) == ("labels.txt", 3, "none")


@pytest.mark.parametrize(("name", "activation"), [("logits", "softmax"), ("Softmax:0", "none"), ("probs", "none")])
def test_float_scores_that_are_not_named_probabilities_are_logits(name: str, activation: str) -> None:
    assert guessed([IMAGE], [out(1, 10, name=name)])[1].activation == activation


@pytest.mark.parametrize(
    ("outputs", "head"),
    [
        ([out(1, 4420, 2, name="scores"), out(1, 4420, 4, name="boxes")], "boxes_scores"),
        ([out(1, 84, 8400)], "yolo"),
        ([out(1, 10, 4), out(1, 10, name="c"), out(1, 10, name="s"), out(1, name="n")], "tflite_ssd"),
    ],
)
def test_the_shapes_of_detectors_are_known(outputs: list[TensorSpec], head: str) -> None:
    task, output = guessed([IMAGE], outputs)
    assert task is Task.DETECTION
    assert output.head == head


def test_an_output_like_the_input_is_a_reconstruction() -> None:
    assert guessed([TensorSpec("x", "int8", (1, 640))], [out(1, 640)])[0] is Task.ANOMALY


def test_anything_else_is_a_tensor() -> None:
    assert guessed([TensorSpec("x", "float32", (1, 12))], [out(1, 3)])[0] is Task.TENSOR


def test_labels_make_scores_of_whatever_goes_in() -> None:
    assert guessed([TensorSpec("x", "float32", (1, 12))], [out(1, 3)], "l.txt")[0] is Task.CLASSIFICATION


@pytest.mark.parametrize(
    ("spec", "kind", "color"),
    [
        (IMAGE, "image", "rgb"),
        (TensorSpec("x", "float32", (None, 3, 224, 224)), "image", "rgb"),
        (TensorSpec("x", "uint8", (1, 28, 28)), "image", "grey"),
        (TensorSpec("x", "float32", (1, 1, 28, 28)), "image", "grey"),
        (TensorSpec("x", "float32", (1, 28, 28)), "tensor", "rgb"),
        (TensorSpec("x", "float32", (1, 3, 4, 4)), "tensor", "rgb"),
        (TensorSpec("x", "float32", (1, 3, None, None)), "tensor", "rgb"),
    ],
)
def test_images_are_known_by_their_shape(spec: TensorSpec, kind: str, color: str) -> None:
    (given_input,) = manifest_for("m.onnx", "onnxruntime", [spec], [out(1, 2)]).inputs
    assert (given_input.kind, given_input.color) == (kind, color)


def test_a_recurrent_models_state_and_rate_are_found() -> None:
    inputs = [
        TensorSpec("input", "float32", (None, None)),
        TensorSpec("state", "float32", (2, None, 128)),
        TensorSpec("sr", "int64", ()),
    ]
    outputs = [out(None, 1, name="output"), out(None, None, None, name="stateN")]
    manifest = manifest_for("silero_vad.onnx", "onnxruntime", inputs, outputs)
    assert manifest.inputs == (
        Input(name="input"),
        Input(name="state", kind="state", source="stateN"),
        Input(name="sr", kind="constant", value=16000.0),
    )
    assert manifest.task is Task.TENSOR


@pytest.mark.parametrize(
    ("file", "name"), [("MobileNet_V2 (int8).tflite", "mobilenet-v2-int8"), ("_.onnx", "model"), ("a.b.onnx", "a.b")]
)
def test_a_file_names_its_model(file: str, name: str) -> None:
    assert name_of(file) == name


@given(st.text(max_size=90))
def test_every_file_gives_a_name(file: str) -> None:
    assert is_name(name_of(file))
