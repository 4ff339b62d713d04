"""The images of the data folder give the answers of its README, on every engine that can run the model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_node.engine.base import Array
from edge_node.pipeline.bundle import open_model
from edge_node.pipeline.runner import Runner
from protos.bundle import Input, Manifest, Output, Task, Variant
from protos.result import Classified, Detected

MOBILENETS = ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx")

FACES = Manifest(
    name="faces",
    task=Task.DETECTION,
    variants=(Variant("face_rfb320_fp32.onnx", "onnxruntime"),),
    inputs=(Input(kind="image", mean=(127.0,), std=(128.0,)),),
    outputs=(Output(decode="detection", background=0, score_threshold=0.7, iou_threshold=0.3),),
)


def picture(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def classes_of(runner: Runner, frame: Array) -> list[Classified]:
    return [one for one in runner.run(frame).outputs if isinstance(one, Classified)]


@pytest.mark.parametrize("model", MOBILENETS)
@pytest.mark.parametrize(
    ("photo", "labels", "score"),
    [
        ("parrot.jpg", ["macaw"], 0.99),
        ("cat_720p.jpg", ["Egyptian cat", "tabby, tabby cat"], 0.0),
        ("hot_dog.jpg", ["hotdog, hot dog, red hot"], 0.85),
    ],
)
def test_mobilenet_names_what_is_in_a_photo(
    data: Path, model: str, photo: str, labels: list[str], score: float
) -> None:
    runner = open_model(data / "models" / model, labels=data / "models" / "imagenet_labels.txt")
    found = classes_of(runner, picture(data / "images" / photo))
    runner.close()
    assert [one.label for one in found][: len(labels)] == labels
    assert found[0].score >= score


def test_both_mobilenets_give_the_same_scores(data: Path) -> None:
    frame = picture(data / "images" / "cat_720p.jpg")
    answers = []
    for model in MOBILENETS:
        runner = open_model(data / "models" / model)
        answers.append([(one.index, one.score) for one in classes_of(runner, frame)])
        runner.close()
    assert answers[0] == answers[1]


def test_the_lstm_reads_a_nine(data: Path) -> None:
    runner = open_model(data / "models" / "lstm_mnist_int8.tflite")
    (best, *_) = classes_of(runner, picture(data / "images" / "mnist_nine.bmp"))
    runner.close()
    assert best.label == "9"
    assert best.score >= 0.99


@pytest.mark.parametrize(("photo", "count"), [("face_2.jpg", 4), ("face_3.jpg", 5)])
def test_the_face_detector_counts_faces(data: Path, photo: str, count: int) -> None:
    file = data / "models" / FACES.variants[0].file
    guessed = open_model(file)
    runner = Runner(guessed.session, FACES, ["face"])
    found = runner.run(picture(data / "images" / photo)).outputs
    runner.close()
    assert len(found) == count
    for face in found:
        assert isinstance(face, Detected)
        left, top, right, bottom = face.box
        assert face.label == "face"
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


@pytest.mark.parametrize("fit", ["letterbox", "crop"])
def test_faces_lie_where_they_lie_however_the_frame_is_fitted(data: Path, fit: str) -> None:
    """The biggest face's box is the same part of the frame, whether the model saw it stretched or otherwise."""
    frame = picture(data / "images" / "face_2.jpg")
    boxes = []
    for way in ("stretch", fit):
        manifest = Manifest(
            name="faces",
            task=Task.DETECTION,
            variants=FACES.variants,
            inputs=(Input(kind="image", mean=(127.0,), std=(128.0,), fit=way),),  # type: ignore[arg-type]
            outputs=FACES.outputs,
        )
        runner = Runner(open_model(data / "models" / FACES.variants[0].file).session, manifest)
        found = [one for one in runner.run(frame).outputs if isinstance(one, Detected)]
        boxes.append(max(found, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])).box)
        runner.close()
    np.testing.assert_allclose(boxes[0], boxes[1], atol=0.03)


def test_the_cifar_network_loads_and_gives_ten_classes(data: Path) -> None:
    runner = open_model(data / "models" / "resnet8_cifar10_int8.tflite")
    frame = picture(data / "images" / "cat_720p.jpg")
    outputs = runner.infer(runner.prepare(frame))
    assert [array.shape for array in outputs.values()] == [(1, 10)]
    assert 0 <= classes_of(runner, frame)[0].index < 10
    runner.close()
