"""A bundle of the two real MobileNets proves itself here, and one that was damaged does not."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from edge_node.engine.select import Choice, NoChoice, choose
from edge_node.pipeline.bundle import open_variant, read_bundle
from edge_node.pipeline.golden import Vector, make_vector, vector_bytes
from edge_node.pipeline.prove import prove

MANIFEST = """
name = "mobilenet-v2"
task = "classification"
[[variants]]
file = "mobilenet_v2_int8.tflite"
engine = "litert"
[[variants]]
file = "mobilenet_v2_int8.onnx"
engine = "onnxruntime"
[[inputs]]
kind = "image"
[[outputs]]
decode = "classification"
labels = "imagenet_labels.txt"
"""
GOLDEN = '[golden]\nagree = "top1"\ntolerance = 1.0\n'


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    for name in ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx", "imagenet_labels.txt"):
        shutil.copyfile(data / "models" / name, tmp_path / name)
    (tmp_path / "model.toml").write_text(MANIFEST)
    (tmp_path / "golden").mkdir()
    runner = open_variant(read_bundle(tmp_path), "mobilenet_v2_int8.tflite")
    for photo in ("parrot.jpg", "cat_720p.jpg", "hot_dog.jpg"):
        with Image.open(data / "images" / photo) as image:
            frame = np.asarray(image.convert("RGB"))
        (tmp_path / "golden" / f"{photo}.npz").write_bytes(vector_bytes(make_vector(runner, frame)))
    runner.close()
    (tmp_path / "model.toml").write_text(MANIFEST + GOLDEN)
    return tmp_path


def test_both_variants_agree_and_one_is_chosen(folder: Path) -> None:
    proofs = prove(read_bundle(folder))
    assert [(proof.engine, proof.agrees, proof.agreement, proof.vectors, proof.error) for proof in proofs] == [
        ("litert", True, 1.0, 3, ""),
        ("onnxruntime", True, 1.0, 3, ""),
    ]
    assert isinstance(choose(proofs), Choice)


def test_a_variant_with_damaged_weights_is_refused_with_the_numbers(folder: Path) -> None:
    path = folder / "mobilenet_v2_int8.onnx"
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 100_000:
            tensor.raw_data = tensor.raw_data[::-1]
    onnx.save(model, path)
    choice = choose(prove(read_bundle(folder), variant=path.name))
    assert choice == NoChoice(f"{path.name} (onnxruntime): agreement 0 against 1 on 3 golden vectors")


FACES = """
name = "faces"
task = "detection"
[[variants]]
file = "face_rfb320_fp32.onnx"
engine = "onnxruntime"
[[inputs]]
kind = "image"
mean = [127.0]
std = [128.0]
[[outputs]]
decode = "detection"
background = 0
score_threshold = 0.7
iou_threshold = 0.3
"""


def test_a_detector_is_compared_by_its_boxes(data: Path, tmp_path: Path) -> None:
    """Its own boxes agree; golden boxes that lie elsewhere do not, and the overlap is the number."""
    shutil.copyfile(data / "models" / "face_rfb320_fp32.onnx", tmp_path / "face_rfb320_fp32.onnx")
    (tmp_path / "model.toml").write_text(FACES)
    with Image.open(data / "images" / "face_2.jpg") as image:
        frame = np.asarray(image.convert("RGB"))
    runner = open_variant(read_bundle(tmp_path), "face_rfb320_fp32.onnx")
    vector = make_vector(runner, frame)
    runner.close()
    (tmp_path / "golden").mkdir()
    (tmp_path / "model.toml").write_text(FACES + '[golden]\nagree = "boxes"\ntolerance = 0.9\n')
    scores, boxes = vector.outputs
    for moved, agrees in ((boxes, True), (boxes + np.float32(0.02), False)):
        (tmp_path / "golden" / "0.npz").write_bytes(vector_bytes(Vector(vector.inputs, (scores, moved))))
        (proof,) = prove(read_bundle(tmp_path))
        assert proof.agrees is agrees, proof
        assert proof.agreement is not None
        assert 0.3 < proof.agreement <= 1.0
