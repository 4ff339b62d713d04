"""MLPerf LoadGen on MobileNetV2 INT8: through the node with shared memory ÷ in process, in the same environment."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.benchmarks.serving import networks, node, peers
from tests.benchmarks.serving.peers import ONNX, SERVERS, Absent, environment
from tests.benchmarks.serving.started import started
from tests.conftest import ROOT

PACKAGES = ("mlcommons-loadgen", ONNX, "grpcio>=1.76", "protobuf>=6.31.1")
GOALS = {"offline": ">= 0.9", "server": ">= 0.8"}
NAMES = {"offline": "Offline, samples", "server": "Server at p99 <= 50 ms, queries"}
NAME = "MLPerf LoadGen"
TIMEOUT_S = 300


def measure(data: Path) -> list[Figure]:
    """In process first, then through the node."""
    try:
        python = environment(PACKAGES)
    except Absent as error:
        return [Figure(NAME, "not measured", 0, "", note=str(error))]
    model = networks.build(ROOT / "build" / "bench-models")["mobilenetv2"]
    inside = _scenarios(python, model, "inside")
    values = networks.example("mobilenetv2")
    with (
        tempfile.TemporaryDirectory() as folder,
        started(node.start(model), lambda http, rpc: peers.by_grpc(http, rpc, values), Path(folder, "log")) as server,
    ):
        through = _scenarios(python, model, server.request.address)
    single = f"{through['single_ms']:.2f} ms, in process {inside['single_ms']:.2f}"
    added = Figure(
        NAME, "SingleStream, added p50", round(through["single_ms"] - inside["single_ms"], 2), "ms", "", single
    )
    return [added, *(_ratio(key, through, inside) for key in GOALS)]


def _ratio(key: str, through: dict[str, float], inside: dict[str, float]) -> Figure:
    note = f"{through[key]:.0f}/s, in process {inside[key]:.0f}"
    return Figure(NAME, f"{NAMES[key]} ÷ in process", round(through[key] / inside[key], 2), "", GOALS[key], note)


def _scenarios(python: Path, model: Path, where: str) -> dict[str, float]:
    command = [str(python), str(SERVERS / "scenarios.py"), str(model), where]
    with_stubs = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=with_stubs, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
