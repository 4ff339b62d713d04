"""`edge-node bundle`: made from real files, proven, verified, imported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_node.errors import Exit
from edge_node.pipeline.bundle import read_bundle
from edge_node.pipeline.golden import read_vector
from protos.bundle import Agree


def bundle(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", "bundle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def done(*arguments: object) -> str:
    found = bundle(*arguments)
    assert found.returncode == Exit.DONE, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def mobilenet(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "mobilenet"
    models = data / "models"
    files = [models / "mobilenet_v2_int8.tflite", models / "mobilenet_v2_int8.onnx"]
    golden = [data / "images/parrot.jpg", data / "images/cat_720p.jpg"]
    options = ["--labels", models / "imagenet_labels.txt", "--golden", *golden, "-o", folder]
    text = done("init", "--name", "mobilenet-v2", *files, *options)
    assert text.count(" yes ") == 2
    return folder


def test_the_manifest_is_filled_from_the_files(mobilenet: Path) -> None:
    manifest = read_bundle(mobilenet).manifest
    assert (manifest.name, manifest.task) == ("mobilenet-v2", "classification")
    assert [variant.engine for variant in manifest.variants] == ["litert", "onnxruntime"]
    assert manifest.inputs[0].kind == "image"
    assert (manifest.outputs[0].labels, manifest.outputs[0].activation) == ("imagenet_labels.txt", "none")
    assert manifest.golden is not None
    assert manifest.golden.agree is Agree.TOP1


def test_golden_vectors_hold_the_canonical_sample_and_the_real_outputs(mobilenet: Path) -> None:
    vector = read_vector(read_bundle(mobilenet).golden[0])
    assert (vector.inputs[0].dtype.name, vector.inputs[0].shape) == ("uint8", (224, 224, 3))
    assert (vector.outputs[0].dtype.name, vector.outputs[0].shape) == ("float32", (1, 1001))
    assert vector.outputs[0].argmax() == 89


def test_a_bundle_is_verified_and_proven_again(mobilenet: Path) -> None:
    report = json.loads(done("check", mobilenet, "--json"))
    assert report["problems"] == []
    assert [proof["agrees"] for proof in report["proofs"]] == [True, True]


def test_variants_that_disagree_are_refused_with_the_numbers_unless_forced(data: Path, tmp_path: Path) -> None:
    shape = [1, 4]
    for name, factor in (("one.onnx", 1.0), ("two.onnx", -1.0)):
        _write_scaling(tmp_path / name, factor, shape)
    np.save(tmp_path / "sample.npy", np.arange(4, dtype=np.float32))
    files = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    options = ["--kind", "tensor", "--task", "tensor", "--golden", tmp_path / "sample.npy", "-o", tmp_path / "b"]
    refused = bundle("init", "--name", "m", *files, *options)
    assert refused.returncode == Exit.REFUSED
    assert "two.onnx disagrees with the golden vectors: 6 against 0.01" in refused.stderr
    assert " NO " in refused.stdout
    assert not (tmp_path / "b").exists()
    assert " NO " in done("init", "--name", "m", *files, *options, "--force")
    assert (tmp_path / "b" / "model.toml").exists()
    checked = bundle("check", tmp_path / "b")
    assert checked.returncode == Exit.FAILED
    loose = [*options[:-1], tmp_path / "c", "--tolerance", "6"]
    assert " NO " not in done("init", "--name", "m", *files, *loose)


def _write_scaling(path: Path, factor: float, shape: list[int], *, external: bool = False) -> None:
    weight = numpy_helper.from_array(np.full(shape, factor, np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    if external:
        onnx.save_model(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        path.write_bytes(model.SerializeToString())


def test_external_data_goes_into_the_bundle_and_is_named(tmp_path: Path) -> None:
    _write_scaling(tmp_path / "m.onnx", 2.0, [1, 4], external=True)
    done("init", "--name", "m", tmp_path / "m.onnx", "--kind", "tensor", "--task", "tensor", "-o", tmp_path / "b")
    assert read_bundle(tmp_path / "b").manifest.files == ("weights.bin",)
    done("check", tmp_path / "b")


def test_logits_are_recognised_by_their_values(tmp_path: Path, data: Path) -> None:
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 192]),
    ]
    graph = helper.make_graph([helper.make_node("Flatten", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    made = ["init", "--name", "m", tmp_path / "m.onnx", "--golden", data / "images/parrot.jpg", "--mean", "0", "--std"]
    done(*made, "1", "-o", tmp_path / "logits")
    done(*made, "255", "-o", tmp_path / "scores")
    assert read_bundle(tmp_path / "logits").manifest.outputs[0].activation == "softmax"
    assert read_bundle(tmp_path / "scores").manifest.outputs[0].activation == "none"


def test_without_golden_inputs_the_bundle_is_made_and_called_unproven(data: Path, tmp_path: Path) -> None:
    text = done("init", "--name", "resnet8", data / "models/resnet8_cifar10_int8.tflite", "-o", tmp_path / "deep" / "b")
    assert "unproven" in text
    assert read_bundle(tmp_path / "deep" / "b").manifest.golden is None


def test_a_triton_repository_is_imported_with_its_labels(data: Path, tmp_path: Path) -> None:
    model = tmp_path / "repository" / "Mobile Net"
    for version in (1, 2):
        (model / str(version)).mkdir(parents=True)
        shutil.copy(data / "models/mobilenet_v2_int8.onnx", model / str(version) / "model.onnx")
    shutil.copy(data / "models/imagenet_labels.txt", model / "labels.txt")
    (model / "config.pbtxt").write_text('backend: "onnxruntime"\noutput [{ label_filename: "labels.txt" }]\n')
    options = ["--golden", data / "images/parrot.jpg", "-o", tmp_path / "b", "--json"]
    report = json.loads(done("import", tmp_path / "repository", *options))
    assert report["manifest"]["name"] == "mobile-net"
    assert report["manifest"]["outputs"][0]["labels"] == "labels.txt"
    assert report["proofs"][0]["agrees"] is True


def test_edgectl_model_init_is_the_same_command(data: Path, tmp_path: Path) -> None:
    model = data / "models/resnet8_cifar10_int8.tflite"
    command = [sys.executable, "-c", "from coordinator.cli import authoring; import typer; app = typer.Typer();"]
    command[-1] += "app.callback()(lambda: None); authoring.mount(app); app()"
    made = subprocess.run(
        [*command, "init", "--name", "m", str(model), "-o", str(tmp_path / "b")], capture_output=True, timeout=100
    )
    assert made.returncode == Exit.DONE, made.stderr
    again = subprocess.run(
        [*command, "init", "--name", "m", str(model), "-o", str(tmp_path / "b")], capture_output=True, timeout=100
    )
    assert again.returncode == Exit.FAILED
    assert b"is there already" in again.stderr
