"""`edge-node bench`: every combination that can run is measured, what cannot is said."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_node.errors import Exit
from edge_node.pipeline.golden import Vector, vector_bytes
from protos.inference import grpc_service_pb2 as oip
from tests.conformance.tiny_models import onnx_model
from tests.e2e.fleet import until
from tests.e2e.test_ladder_falls import metrics
from tests.integration.serving_world import Running, serving
from tests.integration.test_compiled_forms import bundle
from tests.unit.pipeline.stubs import scores
from tests.unit.pipeline.test_prove import proven_bundle


def bench(*arguments: object, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", "bench", *map(str, arguments)]
    environment = {**os.environ, **({"XDG_CACHE_HOME": str(cache)} if cache else {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)


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


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A tiny model that was tuned: its file, the folder of the cache, and what was said."""
    folder = tmp_path_factory.mktemp("tuned")
    model = onnx_model(folder / "twice.onnx")
    done = bench("--tune", model, "--slo-p95", "50ms", "--seconds", "0.06", "--json", cache=folder)
    assert done.returncode == Exit.DONE, done.stderr
    assert done.stderr == ""
    return model, folder, json.loads(done.stdout)


def test_tuning_measures_what_a_model_can_be_served_with_and_chooses(tuned: tuple[Path, Path, dict[str, Any]]) -> None:
    _, _, said = tuned
    ways = [arm["way"] for arm in said["arms"]]
    assert said["chosen"] in ways
    assert said["meets"] is True
    chosen = next(arm for arm in said["arms"] if arm["way"] == said["chosen"])
    assert len(chosen["rounds"]) == 3
    assert all(one["per_second"] > 0 and 0 < one["p95_ms"] <= 50 for one in chosen["rounds"])


def test_what_was_tuned_is_how_the_model_is_served_next(tuned: tuple[Path, Path, dict[str, Any]]) -> None:
    model, folder, said = tuned
    with serving(model, cache=folder) as running:
        line = next(one for one in running.said if one.get("model") == "twice")
    assert (line["instances"], line["threads"]) == (said["chosen"]["instances"], said["chosen"]["threads"])
    assert line["why"].startswith("tuned: ")


def test_what_was_tuned_can_be_forgotten(tuned: tuple[Path, Path, dict[str, Any]]) -> None:
    model, folder, _ = tuned
    assert bench("--tune", model, "--forget", cache=folder).stdout == "forgotten\n"
    assert "was not tuned here" in bench("--tune", model, "--forget", cache=folder).stdout


def test_a_variant_that_disagrees_with_its_golden_vectors_is_not_tried(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    proven_bundle(bundle, {"a.stub": {}, "b.stub": {"outputs": [scores(0.9, 0.0, 0.1)]}})
    done = bench("--tune", bundle, "--seconds", "0.03", "--json", cache=tmp_path)
    assert done.returncode == Exit.DONE, done.stderr
    said = json.loads(done.stdout)
    assert said["chosen"]["variant"] == "a.stub"
    (refused,) = (arm for arm in said["arms"] if arm["way"]["variant"] == "b.stub")
    assert refused["error"] == "agreement 0 against 1 on the golden vectors"
    assert refused["rounds"] == []


def test_a_time_without_a_unit_is_refused_in_a_line(tmp_path: Path) -> None:
    done = bench("--tune", tmp_path, "--slo-p95", "50")
    assert done.returncode == Exit.USAGE
    assert "50ms" in done.stderr


def test_openvino_is_tuned_where_golden_vectors_admit_it_and_serves_where_it_is_configured(tmp_path: Path) -> None:
    tiny = bundle(tmp_path / "tiny")
    with (tiny / "model.toml").open("a") as manifest:
        manifest.write('[golden]\nvectors = "golden/*.npz"\nagree = "values"\ntolerance = 0.001\n')
    (tiny / "golden").mkdir()
    ones = np.ones((1, 4), np.float32)
    (tiny / "golden" / "one.npz").write_bytes(vector_bytes(Vector((ones,), (2 * ones,))))
    done = bench("--tune", tiny, "--engine", "openvino", "--seconds", "0.03", "--json", cache=tmp_path)
    assert done.returncode == Exit.DONE, done.stderr
    said = json.loads(done.stdout)
    assert {arm["way"]["engine"] for arm in said["arms"]} == {"openvino"}
    config = tmp_path / "edge-node.toml"
    for also, engine in (('also = ["openvino"]', "openvino"), ("", "onnxruntime")):
        config.write_text(f"[engines]\n{also}\n")
        with serving(tiny, options=("--config", str(config)), cache=tmp_path) as running:
            line = next(one for one in running.said if one.get("model") == "tiny")
            assert line.get("why", "").startswith("tuned: ") == bool(also)
            assert running.stub.ModelMetadata(oip.ModelMetadataRequest(name="tiny"), timeout=20).name == "tiny"
            shown = partial(runs_on, running, engine)
            until(shown, f"{engine} in the metrics")


def test_a_raw_file_has_no_golden_vectors_and_openvino_is_not_tried(tmp_path: Path) -> None:
    model = onnx_model(tmp_path / "m.onnx")
    done = bench("--tune", model, "--engine", "openvino", cache=tmp_path)
    assert done.returncode == Exit.FAILED
    assert done.stderr == f"edge-node: {model} has no variant for openvino\n"


def runs_on(running: Running, engine: str) -> bool:
    """Whether the metrics say that a model runs on the processor with an engine."""
    return f'rung="{engine}/cpu"' in metrics(running)
