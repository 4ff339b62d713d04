"""`edge-node doctor`: what is here, and an exit code that says whether any model can run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_node.cli.trial import try_engine
from edge_node.errors import Exit

HIDDEN = """
import importlib.metadata, sys
real = importlib.metadata.version
def version(name):
    if name in {hidden!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
sys.modules.update(dict.fromkeys({modules!r}))
"""


def doctor(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", "doctor", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, env={"PYTHONPATH": path, "HOME": "/tmp"}
    )


@pytest.fixture
def without_engines(tmp_path: Path) -> str:
    """A place on PYTHONPATH that makes the engines look as if they were not installed, in every child too."""
    hidden = HIDDEN.format(
        hidden=("onnxruntime", "ai-edge-litert", "tflite-runtime", "openvino"),
        modules=("onnxruntime", "ai_edge_litert", "openvino", "av"),
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    return str(tmp_path)


def test_a_device_with_engines_is_described_and_the_exit_code_is_0() -> None:
    done = doctor()
    assert done.returncode == Exit.DONE, done.stderr
    assert done.stderr == ""
    for word in ("cores", "memory", "disk", "clock", "sandbox", "litert", "onnxruntime", "works"):
        assert word in done.stdout


def test_the_document_has_the_documented_keys() -> None:
    report = json.loads(doctor("--json").stdout)
    assert {"engines", "missing", "cores", "memory_mb", "clock_synced", "sandbox", "state_dir", "devices"} <= set(
        report
    )
    assert {trial["engine"] for trial in report["engines"]} == {"litert", "onnxruntime", "openvino"}
    assert all(trial["accelerators"] == ["cpu"] for trial in report["engines"])


def test_without_engines_the_exit_code_is_1_and_each_comes_with_its_command(without_engines: str) -> None:
    done = doctor(path=without_engines)
    assert done.returncode == Exit.FAILED
    assert done.stderr.splitlines() == [
        "edge-node: no engine works here, so no model can run: pip install 'nearfield[onnx,tflite]'"
    ]
    assert "pip install 'nearfield[tflite]'" in done.stdout
    assert "pip install 'nearfield[onnx]'" in done.stdout


def test_the_engines_answer_the_smallest_model() -> None:
    assert [try_engine(engine).error for engine in ("litert", "onnxruntime", "openvino")] == ["", "", ""]


def test_an_engine_that_takes_its_process_with_it_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = "import os, sys\nif 'edge_node.cli.trial' in sys.orig_argv: os.kill(os.getpid(), 11)\n"
    (tmp_path / "sitecustomize.py").write_text(crash)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    trial = try_engine("litert")
    assert not trial.works
    assert trial.error == "its process died of signal 11"
