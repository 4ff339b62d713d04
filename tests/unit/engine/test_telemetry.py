"""ONNX Runtime reports its use to its maker unless it is told not to; a node's bytes are its owner's."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conformance.tiny_models import onnx_model

OPEN = (
    "import pathlib, sys; from edge_node.engine.onnx import create; create().open(pathlib.Path(sys.argv[1]), threads=1)"
)


def test_opening_a_session_prepares_no_report_to_the_makers_of_the_engine(tmp_path: Path) -> None:
    """Telemetry keeps its session and its queue in the temporary and the home folder: both stay empty."""
    model = onnx_model(tmp_path / "tiny.onnx")
    places = {name: tmp_path / name.lower() for name in ("TMPDIR", "HOME")}
    for place in places.values():
        place.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {name: str(place) for name, place in places.items()}
    subprocess.run([sys.executable, "-c", OPEN, str(model)], env=environment, check=True, timeout=60)
    assert {name: list(place.iterdir()) for name, place in places.items()} == {"TMPDIR": [], "HOME": []}
