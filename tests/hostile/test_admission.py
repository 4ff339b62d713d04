"""The corpus is refused before an engine sees it, in bounded work; no real model is."""

import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from protos.admission.limits import LIMITS
from protos.errors import ContractError
from tests.hostile.corpus import RECIPES, build, bundle_around
from tests.hostile.kinds import Recipe
from tests.hostile.looking import ENGINES, look

REFUSED = [recipe for recipe in RECIPES if recipe.stopped_by == "admission"]
CONTAINED = [recipe for recipe in RECIPES if recipe.stopped_by == "worker"]
SHORT_WORK = replace(LIMITS, fields=100_000)
"""As many looks as fit 100 ms."""
MiB = 1024 * 1024


def named(recipe: Recipe) -> str:
    return recipe.path.name


def written(recipe: Recipe, folder: Path) -> Path:
    path = folder / recipe.path
    recipe.write(path)
    return path


@pytest.mark.parametrize("recipe", REFUSED, ids=named)
def test_a_hostile_file_is_refused_in_one_short_line_and_short_work(recipe: Recipe, tmp_path: Path) -> None:
    path = written(recipe, tmp_path)
    with pytest.raises(ContractError) as refusal:
        look(path)
    said = str(refusal.value)
    assert "\n" not in said
    assert len(said) < 500
    with pytest.raises(ContractError) as again:
        look(path, SHORT_WORK)
    assert str(again.value) == said, "it took more looks than fit the time"


@pytest.mark.parametrize("recipe", REFUSED, ids=named)
def test_refusing_a_hostile_file_takes_little_memory(recipe: Recipe, tmp_path: Path) -> None:
    path = written(recipe, tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(ContractError):
            look(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MiB


@pytest.mark.parametrize("recipe", CONTAINED, ids=named)
def test_what_only_computing_shows_is_left_to_the_worker(recipe: Recipe, tmp_path: Path) -> None:
    look(written(recipe, tmp_path))


def test_the_corpus_is_built_whole_under_file_names(tmp_path: Path) -> None:
    corpus = build(tmp_path / "corpus")
    assert len(corpus) == len(RECIPES)
    assert all(hostile.path.name == name and hostile.path.exists() for name, hostile in corpus.items())
    bundle = bundle_around(corpus["doubling.onnx"], tmp_path / "bundle")
    assert sorted(path.name for path in bundle.iterdir()) == ["doubling.onnx", "model.toml"]


def test_no_real_model_is_refused(data: Path) -> None:
    models = [path for path in sorted((data / "models").iterdir()) if path.suffix in ENGINES]
    assert models
    for path in models:
        look(path, SHORT_WORK)


def test_nothing_of_the_demo_is_refused() -> None:
    bundle = Path(__file__).parents[2] / "deploy" / "demo" / "inspection"
    looked = [path for path in bundle.rglob("*") if path.suffix in (*ENGINES, ".npz", ".txt", ".toml")]
    assert len(looked) > 2
    for path in looked:
        look(path, SHORT_WORK)


RUN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (8, 9))
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(None, {"x": numpy.zeros((1, 4), numpy.float32)})
"""


@pytest.mark.parametrize("name", ["function_chain.onnx", "endless_loop.onnx"])
def test_without_admission_such_a_file_takes_all_the_time_that_it_is_given(name: str, tmp_path: Path) -> None:
    """The control: that it is worth refusing."""
    path = written(next(recipe for recipe in RECIPES if recipe.path.name == name), tmp_path)
    done = subprocess.run([sys.executable, "-c", RUN, path], capture_output=True, timeout=100)
    assert done.returncode == -signal.SIGXCPU
