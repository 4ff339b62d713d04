"""Accelerators that this machine does not have, up to the libraries' own boundary: one line each, and no crash."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_node.engine.catalog import find
from edge_node.errors import BadInput
from edge_node.rungs import Rung
from tests.conformance.tiny_models import onnx_model, tflite_model

LIBC = "libm.so.6"


@pytest.mark.parametrize(
    ("rung", "said"),
    [
        (Rung("litert", "edgetpu", "libedgetpu.so.1"), r"^the delegate edgetpu cannot be loaded: libedgetpu\.so\.1: "),
        (Rung("litert", "edgetpu", LIBC), rf"^{LIBC} is no delegate of LiteRT: it has no tflite_plugin_create"),
        (Rung("onnxruntime", "cuda"), r"^onnxruntime 1\S+ has no provider cuda, only cpu: see doctor$"),
        (Rung("onnxruntime", "abacus"), r"^onnxruntime knows no provider 'abacus': tensorrt-rtx, tensorrt, cuda, "),
        (Rung("onnxruntime", "qnn", "/nowhere/libqnn.so"), r"^/nowhere/libqnn\.so is no plugin that onnxruntime can"),
        (Rung("openvino", "gpu"), r"^openvino finds no GPU here, only CPU$"),
        (Rung("openvino", "npu"), r"^openvino finds no NPU here, only CPU$"),
    ],
    ids=lambda value: f"{value.name} {value.library}" if isinstance(value, Rung) else "",
)
def test_an_accelerator_that_is_not_there_is_one_line(rung: Rung, said: str, tmp_path: Path) -> None:
    engine = find(rung.engine)
    model = (tflite_model if rung.engine == "litert" else onnx_model)(tmp_path / f"tiny{engine.suffix}")
    with pytest.raises(BadInput, match=said) as refusal:
        engine.open(model, threads=1, rung=rung)
    assert "\n" not in str(refusal.value)
    engine.open(model, threads=1).close()


def test_openvino_runs_the_files_of_both_other_engines_with_their_names_and_quantization(tmp_path: Path) -> None:
    engine = find("openvino")
    for path, make in ((tmp_path / "tiny.onnx", onnx_model), (tmp_path / "tiny.tflite", tflite_model)):
        session = engine.open(make(path), threads=1)
        assert [spec.name for spec in (*session.inputs, *session.outputs)] == ["x", "y"]
        np.testing.assert_array_equal(session.run({"x": np.ones((1, 4), np.float32)})["y"], [[2, 2, 2, 2]])
        session.close()


def test_opening_a_model_with_openvino_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    """Imported plainly, the package writes an id of this machine to the home folder and sends an event."""
    model, home = onnx_model(tmp_path / "tiny.onnx"), tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home)}
    code = (
        "import pathlib, sys, threading; from edge_node.engine.openvino import create\n"
        "create().open(pathlib.Path(sys.argv[1]), threads=1)\n"
        "print(threading.active_count(), [name for name in sys.modules if 'telemetry' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model)], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "1 []", done.stderr
    assert list(home.iterdir()) == []
