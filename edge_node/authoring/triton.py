"""A Triton-style model folder, `<repository>/<model>/<version>/model.*`, read for import.

Of `config.pbtxt` only the label files are taken: shapes and types are read from the model itself
(https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_node.errors import BadInput

SUFFIXES = (".tflite", ".onnx")
CONFIG = "config.pbtxt"

_LABELS = re.compile(r'\blabel_filename\s*:\s*"([^"]+)"')


@dataclass(frozen=True)
class TritonModel:
    """What is imported: one version of one model."""

    name: str
    version: int
    files: tuple[Path, ...]
    labels: Path | None


def find_model(folder: Path, name: str | None, version: int | None) -> TritonModel:
    """The model of a repository, or of a model's own folder.

    Args:
        folder: the repository or one model's folder.
        name: which model, where there are several.
        version: which version; None: the newest.

    Raises:
        BadInput: no such folder, model or version, or a choice is needed.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder: give a model repository <repository>/<model>/<version>/model.*")
    model = _model_folder(folder, name)
    numbers = versions(child.name for child in model.iterdir() if child.is_dir())
    chosen = chosen_version(numbers, version, str(model))
    return TritonModel(model.name, chosen, _model_files(model / str(chosen)), _labels(model))


def versions(names: Iterable[str]) -> list[int]:
    """The folder names that are versions (Triton: whole numbers above 0, no leading zero), rising."""
    return sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]{0,9}", name))


def chosen_version(numbers: list[int], wanted: int | None, where: str) -> int:
    """The version that is wanted, else the newest.

    Raises:
        BadInput: there is none, or not that one.
    """
    if not numbers:
        raise BadInput(f"{where} has no version folders: expected {where}/1/model.onnx or model.tflite")
    if wanted is not None and wanted not in numbers:
        raise BadInput(f"{where} has no version {wanted}: it has {', '.join(map(str, numbers))}")
    return numbers[-1] if wanted is None else wanted


def label_files(config: str) -> list[str]:
    """The label files that a config.pbtxt names, comments left out."""
    return _LABELS.findall(re.sub(r"#[^\n]*", "", config))


def _model_folder(folder: Path, name: str | None) -> Path:
    children = sorted(child for child in folder.iterdir() if child.is_dir())
    if versions(child.name for child in children):
        return folder
    models = [child for child in children if versions(inner.name for inner in child.iterdir())]
    if name is not None:
        models = [model for model in models if model.name == name]
    if len(models) == 1:
        return models[0]
    if name is not None or not models:
        what = f"model {name!r}" if name is not None else "<model>/<version>/model.* in it"
        raise BadInput(f"{folder}: no {what}: give a Triton-style model repository")
    raise BadInput(f"{folder} has several models: say --model {' | '.join(model.name for model in models)}")


def _model_files(folder: Path) -> tuple[Path, ...]:
    """The runnable files; `model.onnx` may be a folder with the model and its external data."""
    files = [
        path / path.name if path.is_dir() else path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES
    ]
    found = tuple(path for path in files if path.is_file())
    if not found:
        raise BadInput(f"{folder} has no model.onnx or model.tflite: other formats are not run here")
    return found


def _labels(model: Path) -> Path | None:
    config = model / CONFIG
    if not config.is_file():
        return None
    names = label_files(config.read_text(encoding="utf-8", errors="replace"))
    if not names:
        return None
    labels = model / names[0]
    if not labels.resolve().is_relative_to(model.resolve()):
        raise BadInput(f"{config} names labels outside the model's folder: {names[0]!r}")
    return labels
