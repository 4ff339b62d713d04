"""Hostile models at the commands that people type: exit code 4 and one line, before an engine sees them."""

import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.errors import Exit
from tests.coordinators import edgectl, running_coordinator
from tests.hostile.corpus import RECIPES, bundle_around
from tests.hostile.kinds import Hostile

NAMES = ("function_chain.onnx", "weights_in_passwd.onnx", "constant_of_shape.onnx", "huge_shape.tflite")


def made(name: str, folder: Path) -> Hostile:
    """A file of the corpus."""
    recipe = next(recipe for recipe in RECIPES if recipe.path.name == name)
    recipe.write(folder / name)
    return Hostile(folder / name, recipe.stopped_by, recipe.why)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["infer", "bench", "bundle init"])
def test_a_raw_model_is_refused(command: str, name: str, tmp_path: Path) -> None:
    made(name, tmp_path)
    options = {
        "infer": ["--input", "x.npy", "--task", "tensor"],
        "bench": ["--seconds", "0.1", "--threads", "1"],
        "bundle init": ["--name", "m", "-o", "out"],
    }[command]
    line = [sys.executable, "-m", "edge_node", *command.split(), name, *options]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr.count("\n") == 1
    assert f"{name} is refused: " in done.stderr
    assert done.returncode == Exit.REFUSED
    assert not (tmp_path / "out").exists()


async def test_a_pushed_bundle_is_refused_and_makes_no_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path / "coordinator", own_broker="embedded") as coordinator:
        for name in NAMES:
            bundle = bundle_around(made(name, tmp_path), tmp_path / Path(name).stem)
            assert await edgectl(coordinator, "model", "push", str(bundle)) == Exit.REFUSED
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert f"{name} is refused: " in said
        assert await edgectl(coordinator, "model", "list", "--json") == 0
        assert capsys.readouterr().out.strip() == "[]"
