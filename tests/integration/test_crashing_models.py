"""A model that takes its engine's process down costs an author one line, not the command."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

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
