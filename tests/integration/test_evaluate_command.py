"""`edge-node bundle evaluate` and `quantize` with real models, and what `edgectl model push` makes of it."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from coordinator.cli.bundle_folder import check_evaluated
from coordinator.cli.bundle_folder import read_bundle as read_local
from coordinator.errors import Refused as NotPushed
from edge_node.errors import Exit
from edge_node.pipeline.bundle import read_bundle
from protos.evaluation import EVALUATION, read_evaluation
from tests.conformance.worker_world import stub_bundle

PHOTOS = {"parrot.jpg": "macaw", "cat_720p.jpg": "Egyptian cat", "hot_dog.jpg": "hotdog, hot dog, red hot"}


def edge_node(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def done(*arguments: object) -> str:
    found = edge_node(*arguments)
    assert found.returncode == Exit.DONE, found.stderr
    assert found.stderr == "" or found.stderr.startswith("golden vectors of")
    return found.stdout


@pytest.fixture
def photos(data: Path, tmp_path: Path) -> Path:
    """Three photos and what they show, of two cameras."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(("file", "label", "camera"))
        for number, (name, label) in enumerate(PHOTOS.items()):
            shutil.copy(data / "images" / name, folder / name)
            rows.writerow((name, label, "door" if number else "shelf"))
    return folder


@pytest.fixture
def mobilenet(data: Path, tmp_path: Path) -> Path:
    models = data / "models"
    files = [models / "mobilenet_v2_int8.tflite", models / "mobilenet_v2_int8.onnx"]
    labels = ["--labels", models / "imagenet_labels.txt"]
    done("bundle", "init", "--name", "mobilenet-v2", *files, *labels, "-o", tmp_path / "bundle")
    return tmp_path / "bundle"


def test_an_evaluated_bundle_may_be_pushed_where_it_is_required(mobilenet: Path, photos: Path, tmp_path: Path) -> None:
    page, options = tmp_path / "report.html", ["--keep", "--golden", 2, "--json"]
    found = json.loads(done("bundle", "evaluate", mobilenet, photos, "--html", page, *options))
    assert [(one["file"][-5:], one["samples"], one["score"]) for one in found["variants"]] == [
        ("flite", 3, 1.0),
        (".onnx", 3, 1.0),
    ]
    assert {(one["value"], one["samples"]) for one in found["variants"][0]["slices"]} == {("door", 2), ("shelf", 1)}
    assert "macaw" in page.read_text()
    assert len(read_bundle(mobilenet).golden) == 2
    assert read_evaluation((mobilenet / EVALUATION).read_bytes()).measure == "accuracy"
    done("bundle", "check", mobilenet)
    check_evaluated(read_local(mobilenet), ["accuracy>=0.9", "worst_slice>=0.9"])
    with pytest.raises(NotPushed, match="is required"):
        check_evaluated(read_local(mobilenet), ["p95_ms<=0.001"])


def test_what_is_required_and_not_met_is_refused_after_the_table(mobilenet: Path, photos: Path) -> None:
    found = edge_node("bundle", "evaluate", mobilenet, photos, "--limit", 1, "--require", "p99_ms<=0.001")
    assert found.returncode == Exit.REFUSED
    assert "ACCURACY" in found.stdout
    assert "p99_ms<=0.001 is required" in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_label_that_the_model_does_not_have_is_named_with_the_nearest(mobilenet: Path, photos: Path) -> None:
    (photos / "labels.csv").write_text("file,label\nparrot.jpg,macaws\n")
    found = edge_node("bundle", "evaluate", mobilenet, photos)
    assert (found.returncode, found.stderr.count("\n")) == (Exit.FAILED, 1)
    assert "did you mean macaw?" in found.stderr


def test_a_sample_that_cannot_be_read_counts_as_wrong(mobilenet: Path, photos: Path) -> None:
    (photos / "parrot.jpg").write_bytes(b"no photo")
    variant = ["--variant", "mobilenet_v2_int8.tflite"]
    (score,) = json.loads(done("bundle", "evaluate", mobilenet, photos, *variant, "--json"))["variants"]
    assert (score["failed"], score["score"]) == (1, pytest.approx(2 / 3))


def test_a_model_that_crashes_costs_a_line(tmp_path: Path) -> None:
    model = stub_bundle(tmp_path / "crasher", crash_from=0)
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "cat" / "photo.png")
    found = edge_node("bundle", "evaluate", model, tmp_path / "photos")
    assert (found.returncode, found.stderr.count("\n")) == (Exit.FAILED, 1)
    assert "killed by SIGSEGV" in found.stderr


@pytest.fixture
def faces(data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A float face detector, and photos whose boxes are those that it finds itself."""
    model, folder = tmp_path / "faces", tmp_path / "photos"
    (tmp_path / "labels.txt").write_text("background\nface\n")
    pixels = ["--mean", 127, "--std", 128, "--background", 0]
    golden = ["--golden", data / "images/face_2.jpg"]
    file = data / "models/face_rfb320_fp32.onnx"
    done("bundle", "init", "--name", "faces", file, "--labels", tmp_path / "labels.txt", *pixels, *golden, "-o", model)
    folder.mkdir()
    names = [shutil.copy(data / "images" / name, folder) for name in ("face_2.jpg", "face_3.jpg")]
    answers = map(json.loads, done("infer", model, "--input", *names, "--json").splitlines())
    images, boxes = [], []
    for number, answer in enumerate(answers):
        images.append({"id": number, "file_name": Path(answer["input"]).name, "width": 1000, "height": 1000})
        for found in answer["outputs"]:
            left, top, right, bottom = (1000 * corner for corner in found["box"])
            boxes.append({"image_id": number, "category_id": 1, "bbox": [left, top, right - left, bottom - top]})
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "face"}]}
    (folder / "annotations.json").write_text(json.dumps(coco))
    return model, folder


def test_a_float_model_becomes_smaller_and_stays_as_good(faces: tuple[Path, Path]) -> None:
    model, photos = faces
    found = json.loads(done("bundle", "quantize", model, photos, "--method", "percentile", "--json"))
    original, made = found["evaluation"]["variants"]
    assert made["file"] == "face_rfb320_fp32_int8.onnx"
    assert found["bytes"][made["file"]] < 0.5 * found["bytes"][original["file"]]
    assert found["evaluation"]["measure"] == "ap50"
    assert (original["score"], made["score"] > 0.9) == (pytest.approx(1.0), True)
    assert [one.file for one in read_bundle(model).manifest.variants] == [original["file"], made["file"]]
    again = edge_node("bundle", "quantize", model, photos, "--variant", original["file"])
    assert (again.returncode, "is there already" in again.stderr) == (Exit.FAILED, True)


def test_a_quantized_variant_that_disagrees_is_not_added(faces: tuple[Path, Path]) -> None:
    model, photos = faces
    manifest = model / "model.toml"
    manifest.write_text(manifest.read_text().replace("tolerance = 0.8", "tolerance = 0.999"))
    before = manifest.read_bytes()
    found = edge_node("bundle", "quantize", model, photos, "--per-tensor")
    assert (found.returncode, found.stderr.count("\n")) == (Exit.REFUSED, 1)
    assert "disagrees with the golden vectors" in found.stderr
    assert (manifest.read_bytes(), (model / "face_rfb320_fp32_int8.onnx").exists()) == (before, False)
