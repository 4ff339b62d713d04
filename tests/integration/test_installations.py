"""A device needs nothing of the coordinator and a server no engine: each in an environment of its lock alone."""

import subprocess
from pathlib import Path

import pytest

from tests.environments import environment, said

pytestmark = pytest.mark.timeout(900)  # the first run downloads what the locks name

SERVER_ONLY = ("sqlalchemy", "alembic", "typer", "rich", "yaml", "amqtt", "psycopg", "pydantic")
DEVICE_ONLY = ("onnxruntime", "ai_edge_litert", "tflite_runtime", "av", "PIL")

ABSENT = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
IMPORT_ALL = """
import importlib, pkgutil, sys
for package in map(importlib.import_module, sys.argv[1:]):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations" not in module.name:  # Alembic alone can import them
            importlib.import_module(module.name)
print("imported")
"""


@pytest.fixture(scope="module")
def node() -> Path:
    """The programs of a device."""
    return environment("node")


@pytest.fixture(scope="module")
def server() -> Path:
    """The programs of a server."""
    return environment("coordinator")


def test_a_device_runs_without_what_only_the_coordinator_needs(node: Path, tmp_path: Path) -> None:
    assert said(node / "python", "-c", ABSENT, *SERVER_ONLY, cwd=tmp_path) == "[]\n"
    assert said(node / "python", "-c", IMPORT_ALL, "edge_node", "protos", cwd=tmp_path) == "imported\n"
    assert "infer" in said(node / "edge-node", "--help", cwd=tmp_path)
    assert "works" in said(node / "edge-node", "doctor", cwd=tmp_path)


def test_both_bring_the_unit_of_their_service(node: Path, server: Path, tmp_path: Path) -> None:
    for program in (node / "edge-node", server / "edge-coordinator"):
        assert f"ExecStart={program} " in said(program, "install", "--print", cwd=tmp_path)


def test_a_device_infers(node: Path, data: Path, tmp_path: Path) -> None:
    model, labels = data / "models/mobilenet_v2_int8.tflite", data / "models/imagenet_labels.txt"
    options = ("--labels", labels, "--input", data / "images/parrot.jpg")
    assert "macaw 0.99" in said(node / "edge-node", "infer", model, *options, cwd=tmp_path)


def test_a_server_runs_without_engines_and_decoders(server: Path, tmp_path: Path) -> None:
    assert said(server / "python", "-c", ABSENT, *DEVICE_ONLY, cwd=tmp_path) == "[]\n"
    assert said(server / "python", "-c", IMPORT_ALL, "coordinator", "protos", cwd=tmp_path) == "imported\n"
    assert "model" in said(server / "edgectl", "--help", cwd=tmp_path)
    assert "serve" in said(server / "edge-coordinator", "--help", cwd=tmp_path)


def test_a_server_says_how_to_get_the_engine_that_reading_a_model_needs(
    server: Path, data: Path, tmp_path: Path
) -> None:
    model = data / "models/mobilenet_v2_int8.tflite"
    command: list[str | Path] = [server / "edgectl", "model", "init", "--name", "m", model, "-o", tmp_path / "b"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'nearfield[tflite]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
