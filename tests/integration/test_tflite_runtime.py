"""tflite-runtime, in the environment it needs: numpy 1, Python 3.11, made once under build/."""

import subprocess
import sys
from pathlib import Path

import pytest

from protos.digest import digest_of, hex_of
from tests.conformance.tiny_models import tflite_model
from tests.conftest import ROOT

REQUIREMENTS = ROOT / "requirements" / "tflite-runtime.txt"
PLACE = ROOT / "build" / "tflite-runtime"

PARROT = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from edge_node.pipeline.bundle import open_model
data = Path(sys.argv[1])
runner = open_model(data / "models/mobilenet_v2_int8.tflite", labels=data / "models/imagenet_labels.txt")
best = runner.run(np.asarray(Image.open(data / "images/parrot.jpg").convert("RGB"))).outputs[0]
print(runner.session.engine_version, best.label, best.score >= 0.99, sep="|")
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the environment, which is made anew when its requirements change."""
    if sys.version_info[:2] != (3, 11) or sys.platform != "linux":
        pytest.skip("tflite-runtime has wheels for Python 3.11 on Linux at most")
    interpreter = PLACE / "venv" / "bin" / "python"
    ready = PLACE / f"ready-{hex_of(digest_of(REQUIREMENTS.read_bytes()))[:12]}"
    if not ready.exists():
        run(sys.executable, "-m", "venv", "--clear", PLACE / "venv")
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel:editable", "-d", PLACE)
        pip = (interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "-r", REQUIREMENTS)
        run(*pip, "--no-deps", "--force-reinstall", *PLACE.glob("*.whl"))
        ready.touch()
    return interpreter


def run(*command: object) -> str:
    """What a program prints; its failure is the test's, with what it said."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_tflite_runtime_passes_the_conformance_suite(python: Path, tmp_path: Path) -> None:
    model = tflite_model(tmp_path / "tiny.tflite")
    said = run(python, "-m", "tests.conformance.engine_suite", "litert", model)
    assert said.startswith("2.14.0 (tflite-runtime): ")
    assert "closes_more_than_once" in said


@pytest.mark.timeout(600)
def test_tflite_runtime_knows_the_macaw(python: Path, data: Path) -> None:
    assert run(python, "-c", PARROT, data).strip() == "2.14.0 (tflite-runtime)|macaw|True"
