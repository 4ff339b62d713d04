"""A manifest from what the model files say; what they do not say is asked for by the name of an option."""

import numpy as np
import pytest

from edge_node.authoring.draft import Answers, ModelFile, draft, golden_of, output_step
from edge_node.authoring.heads import OutputAnswers, activation_of
from edge_node.authoring.kinds import InputAnswers
from edge_node.engine.base import TensorSpec
from edge_node.errors import BadInput
from protos.bundle import Agree, Input, Manifest, Output, Task

IMAGE = TensorSpec("input", "uint8", (1, 224, 224, 3), 1 / 128, 128)
FLOAT_IMAGE = TensorSpec("input", "float32", (1, 3, 240, 320))
SCORES = TensorSpec("scores", "uint8", (1, 1001), 1 / 256, 0)
BOXES = TensorSpec("boxes", "float32", (1, 4420, 4))
FACES = TensorSpec("scores", "float32", (1, 4420, 2))
SERIES = TensorSpec("x", "int8", (1, 640), 0.39, 89)
VAD_INPUTS = (
    TensorSpec("input", "float32", (None, None)),
    TensorSpec("state", "float32", (2, None, 128)),
    TensorSpec("sr", "int64", ()),
)
VAD_OUTPUTS = (TensorSpec("output", "float32", (None, 1)), TensorSpec("stateN", "float32", (None, None, None)))
NOTHING = Answers(InputAnswers(), OutputAnswers())
SCALED = InputAnswers(mean=(127.0,), std=(128.0,))


def model(
    *inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (SCORES,), file: str = "m.tflite", engine: str = "litert"
) -> ModelFile:
    return ModelFile(file, engine, inputs, outputs)


def drafted(
    file: ModelFile, inputs: InputAnswers = NOTHING.inputs, outputs: OutputAnswers = NOTHING.outputs
) -> Manifest:
    return draft("m", [file], Answers(inputs, outputs))


def test_a_quantized_classifier_needs_no_answers() -> None:
    manifest = drafted(model(IMAGE))
    assert manifest.task is Task.CLASSIFICATION
    assert manifest.inputs == (Input(kind="image"),)
    assert manifest.outputs == (Output(decode="classification", top_k=3),)
    assert manifest.slo is None


def test_two_files_of_one_network_are_two_variants() -> None:
    onnx = model(TensorSpec("x", "float32", (1, 3, 224, 224)), file="m.onnx", engine="onnxruntime")
    manifest = draft("m", [model(IMAGE), onnx], Answers(InputAnswers(), OutputAnswers(), 50.0))
    assert [variant.file for variant in manifest.variants] == ["m.tflite", "m.onnx"]
    assert manifest.slo is not None


def test_files_of_two_networks_are_refused() -> None:
    small = model(TensorSpec("input", "int8", (1, 32, 32, 3)), file="small.tflite")
    with pytest.raises(BadInput, match=r"m.tflite and small.tflite are not the same network: inputs"):
        draft("m", [model(IMAGE), small], Answers(InputAnswers(), OutputAnswers()))


@pytest.mark.parametrize(
    ("file", "inputs", "outputs", "option"),
    [
        (model(FLOAT_IMAGE), InputAnswers(), OutputAnswers(), "--mean 0 --std 255"),
        (model(SERIES), InputAnswers(), OutputAnswers(), "--kind image | audio | series | tensor"),
        (model(SERIES), InputAnswers(kind="series"), OutputAnswers(), "--window"),
        (model(SERIES), InputAnswers(kind="series", window=7), OutputAnswers(), "--features 91"),
        (model(SERIES), InputAnswers(kind="audio"), OutputAnswers(), "--rate"),
        (model(SERIES), InputAnswers(kind="audio", rate=1, window=600), OutputAnswers(), "not --window 600"),
        (model(SERIES), InputAnswers(kind="tensor"), OutputAnswers(), "--task"),
        (model(IMAGE), InputAnswers(), OutputAnswers(task=Task.KEYPOINTS), "--task tensor"),
        (model(IMAGE), InputAnswers(), OutputAnswers(task=Task.DETECTION), "--head"),
        (model(FLOAT_IMAGE, outputs=(FACES, BOXES)), SCALED, OutputAnswers(), "--background 0"),
        (model(IMAGE, TensorSpec("k", "int64", ())), InputAnswers(), OutputAnswers(), "--constant k=VALUE"),
        (model(VAD_INPUTS[1], outputs=VAD_OUTPUTS), InputAnswers(), OutputAnswers(), "no input is left"),
    ],
)
def test_what_cannot_be_known_is_asked_for_by_its_option(
    file: ModelFile, inputs: InputAnswers, outputs: OutputAnswers, option: str
) -> None:
    with pytest.raises(BadInput) as question:
        drafted(file, inputs, outputs)
    assert option in str(question.value)


def test_boxes_and_scores_are_a_detection() -> None:
    manifest = drafted(model(FLOAT_IMAGE, outputs=(FACES, BOXES)), SCALED, OutputAnswers(background=0))
    assert manifest.task is Task.DETECTION
    assert manifest.outputs == (Output(decode="detection", background=0),)


@pytest.mark.parametrize(("lines", "background"), [(("background", "face"), 0), (("cat", "dog"), None), (("face",), 0)])
def test_the_label_file_says_whether_the_first_class_is_no_object(
    lines: tuple[str, ...], background: int | None
) -> None:
    answers = OutputAnswers(labels="l.txt", label_lines=lines)
    assert drafted(model(FLOAT_IMAGE, outputs=(FACES, BOXES)), SCALED, answers).outputs[0].background == background


def test_the_heads_of_yolo_and_of_tflite_are_known_by_their_shapes() -> None:
    yolo = model(IMAGE, outputs=(TensorSpec("y", "float32", (1, 84, 8400)),))
    assert drafted(yolo).outputs[0].head == "yolo"
    shapes = [(1, 10, 4), (1, 10), (1, 10), (1,)]
    ssd = model(IMAGE, outputs=tuple(TensorSpec(f"y{n}", "float32", shape) for n, shape in enumerate(shapes)))
    assert drafted(ssd).outputs[0].head == "tflite_ssd"


def test_a_reconstruction_of_its_input_is_an_anomaly_model() -> None:
    manifest = drafted(
        model(SERIES, outputs=(SERIES,)), InputAnswers(kind="series", window=5), OutputAnswers(threshold=9)
    )
    assert manifest.inputs == (Input(kind="series", window=5, features=128),)
    assert manifest.outputs == (Output(decode="anomaly", threshold=9),)


def test_states_and_constants_of_a_recurrent_model_are_found() -> None:
    answers = InputAnswers(kind="audio", rate=16000, window=512, context=64, constants={"sr": 16000})
    manifest = drafted(model(*VAD_INPUTS, outputs=VAD_OUTPUTS), answers, OutputAnswers(task=Task.TENSOR))
    assert manifest.inputs == (
        Input(name="input", kind="audio", rate=16000, window=512, context=64),
        Input(name="state", kind="state", source="stateN"),
        Input(name="sr", kind="constant", value=16000),
    )
    assert manifest.outputs == (Output(decode="tensor"),)


def test_several_raw_outputs_are_named() -> None:
    answers = OutputAnswers(task=Task.TENSOR)
    names = [output.name for output in drafted(model(IMAGE, outputs=(SCORES, BOXES)), outputs=answers).outputs]
    assert names == ["scores", "boxes"]


def test_states_of_variants_that_name_them_differently_are_refused() -> None:
    other = ModelFile(
        "o.onnx", "onnxruntime", (VAD_INPUTS[0], TensorSpec("h", "float32", (2, None, 128)), VAD_INPUTS[2]), VAD_OUTPUTS
    )
    answers = Answers(InputAnswers(kind="tensor"), OutputAnswers(task=Task.TENSOR))
    with pytest.raises(BadInput, match="states are found by name"):
        draft("m", [model(*VAD_INPUTS, outputs=VAD_OUTPUTS), other], answers)


def test_names_are_left_out_where_the_variants_do_not_share_them() -> None:
    outputs = (TensorSpec("a", "float32", (1, 4420, 4)), TensorSpec("b", "float32", (1, 4420, 2)))
    other = ModelFile("m.onnx", "onnxruntime", (FLOAT_IMAGE,), outputs)
    answers = Answers(SCALED, OutputAnswers(task=Task.TENSOR))
    manifest = draft("m", [model(FLOAT_IMAGE, outputs=(BOXES, FACES)), other], answers)
    assert [output.name for output in manifest.outputs] == [None, None]


def test_scores_are_told_from_logits_by_their_values() -> None:
    assert activation_of(np.array([0.0, 0.2, 0.8], np.float32)) == "none"
    assert activation_of(np.array([-3.0, 8.0], np.float32)) == "softmax"
    assert activation_of(np.array([], np.float32)) == "none"


def test_golden_vectors_are_compared_as_the_task_asks() -> None:
    assert golden_of(Task.CLASSIFICATION, 0.1).agree is Agree.TOP1
    assert golden_of(Task.DETECTION, 0.0).agree is Agree.BOXES
    assert golden_of(Task.ANOMALY, 0.5).tolerance == 1.5
    assert golden_of(Task.TENSOR, 0.0).tolerance == 0.01
    assert output_step([model(IMAGE)]) == 1 / 256
