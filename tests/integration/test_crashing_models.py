"""A model that takes its engine's process down costs an author one line, not the command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from edge_node.cli.contained import files_of
from edge_node.errors import Exit
from tests.conformance.worker_world import stub_bundle

KILLED = "its process was killed by SIGSEGV"


def bundle(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", "bundle", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)


def test_a_crashing_variant_is_named_with_how_its_worker_died(tmp_path: Path) -> None:
    stub_bundle(tmp_path / "made", crash_from=0)
    checked = bundle(tmp_path, "check", "made", "--json")
    assert checked.returncode == Exit.FAILED
    assert checked.stderr.count("\n") == 1
    assert checked.stderr.startswith("edge-node: made: model.stub: the worker was killed by SIGSEGV while proving")
    (proof,) = json.loads(checked.stdout)["proofs"]
    assert not proof["agrees"]


def test_no_bundle_is_made_of_a_model_that_crashes(tmp_path: Path) -> None:
    model = stub_bundle(tmp_path / "raw", crash_from=0) / "model.stub"
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    options = ("--task", "classification", "--kind", "image", "-o", "made")
    for golden, line in [((), "the worker was killed by SIGSEGV"), (("--golden", "photo.png"), KILLED)]:
        made = bundle(tmp_path, "init", "--name", "crasher", str(model), *options, *golden)
        assert made.returncode == Exit.FAILED
        assert f"edge-node: model.stub: {line}" in made.stderr
        assert made.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "raw"]


def test_infer_says_in_one_line_that_the_model_crashes(tmp_path: Path) -> None:
    made = stub_bundle(tmp_path / "made", crash_from=0)
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "edge_node", "infer", str(made), "--input", str(tmp_path / "photo.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == Exit.FAILED
    assert done.stderr == f"edge-node: {made}: {KILLED}: the model crashes its engine\n"


def test_weights_beside_a_model_are_read_and_a_file_beside_it_is_not(tmp_path: Path) -> None:
    """`infer` is confined to what the model names."""
    onnx.save_model(
        weighted(), str(tmp_path / "m.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0
    )
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.float32))
    command = [
        sys.executable,
        "-m",
        "edge_node",
        "infer",
        str(tmp_path / "m.onnx"),
        "--task",
        "tensor",
        "--kind",
        "tensor",
    ]
    done = subprocess.run(
        [*command, "--input", str(tmp_path / "x.npy"), "--json"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == Exit.DONE, done.stderr
    assert [path.name for path in files_of(tmp_path / "m.onnx")] == ["m.onnx", "w.bin"]


def weighted() -> onnx.ModelProto:
    """y = x + w."""
    from onnx import TensorProto, helper, numpy_helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    weights = numpy_helper.from_array(np.ones((1, 4), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
