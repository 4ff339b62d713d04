"""The corpus: every hostile file by name, with who must stop it."""

import shutil
from pathlib import Path

from tests.hostile.bundle_files import BUNDLE_FILES
from tests.hostile.kinds import Hostile, Recipe
from tests.hostile.onnx_files import ONNX_FILES
from tests.hostile.onnx_growth import ONNX_GROWTH
from tests.hostile.tflite_files import TFLITE_FILES

RECIPES: tuple[Recipe, ...] = (*ONNX_FILES, *ONNX_GROWTH, *TFLITE_FILES, *BUNDLE_FILES)

MODEL_TOML = """
name = "hostile"
task = "tensor"
[[variants]]
file = "{file}"
engine = "{engine}"
[[outputs]]
decode = "tensor"
"""
ENGINES = {".onnx": "onnxruntime", ".tflite": "litert"}


def build(folder: Path) -> dict[str, Hostile]:
    """Write every hostile file below a folder; by file name. Large ones are sparse."""
    folder.mkdir(parents=True, exist_ok=True)
    return {recipe.path.name: _made(folder, recipe) for recipe in RECIPES}


def _made(folder: Path, recipe: Recipe) -> Hostile:
    path = folder / recipe.path
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe.write(path)
    return Hostile(path, recipe.stopped_by, recipe.why)


def bundle_around(hostile: Hostile, folder: Path) -> Path:
    """A bundle whose one variant is this model file, copied (holes and all), without golden vectors."""
    folder.mkdir(parents=True)
    shutil.copyfile(hostile.path, folder / hostile.path.name)
    text = MODEL_TOML.format(file=hostile.path.name, engine=ENGINES[hostile.path.suffix])
    (folder / "model.toml").write_text(text)
    return folder
