"""`edge-node bench`: every combination that can run is measured, what cannot is said."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from edge_node.errors import Exit


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_a_raw_file_is_measured_for_each_number_of_threads(data: Path) -> None:
    model = data / "models/resnet8_cifar10_int8.tflite"
    done = bench(model, "--seconds", "0.2", "--threads", "1,2", "--json")
    assert done.returncode == Exit.DONE, done.stderr
    assert done.stderr == ""
    measured = json.loads(done.stdout)
    assert [(one["engine"], one["threads"]) for one in measured] == [("litert", 1), ("litert", 2)]
    for one in measured:
        assert 0 < one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"]
        assert 0 < one["infer_p50_ms"] <= one["p50_ms"]
        assert one["runs"] > 0
        assert one["per_second"] > 0
        assert one["load_ms"] > 0
        assert one["memory_mb"] > 10


def test_every_variant_of_a_bundle_is_a_row_and_a_broken_one_a_line(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "models/resnet8_cifar10_int8.tflite", tmp_path / "m.tflite")
    (tmp_path / "m.onnx").write_text("no model")
    (tmp_path / "model.toml").write_text(
        'name = "m"\ntask = "classification"\n'
        '[[variants]]\nfile = "m.tflite"\nengine = "litert"\n[[variants]]\nfile = "m.onnx"\nengine = "onnxruntime"\n'
    )
    done = bench(tmp_path, "--seconds", "0.1", "--threads", "1")
    assert done.returncode == Exit.DONE, done.stderr
    heading, row, failure = done.stdout.splitlines()
    assert heading.split()[:4] == ["VARIANT", "ENGINE", "ON", "THREADS"]
    assert row.startswith("m.tflite  litert")
    assert failure.startswith("m.onnx on onnxruntime, threads: 1: ")
    assert "not an ONNX model" in failure
