"""The engines that this machine really has.

Each engine is one file that imports its library when it is loaded; a missing or broken wheel disables that file and
nothing else. Nothing is imported before it is asked for.

    engine = for_file(Path("model.tflite"))
    session = engine.open(Path("model.tflite"), threads=1)
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edge_node.engine.installed import how_to_get
from edge_node.errors import BadInput

if TYPE_CHECKING:
    from edge_node.engine.base import Engine

MODULES: dict[str, str] = {
    "litert": "edge_node.engine.litert",
    "onnxruntime": "edge_node.engine.onnx",
    "openvino": "edge_node.engine.openvino",
    "stub": "edge_node.engine.stub",
}
"""Where each engine is: a module with `create() -> Engine`, which raises ImportError where the engine cannot start."""

SUFFIXES: dict[str, str] = {".tflite": "litert", ".onnx": "onnxruntime", ".stub": "stub"}


@dataclass(frozen=True)
class EngineFact:
    """An engine as `doctor` shows it. Absent: `version` is empty, `missing` says why and `remedy` how to get it."""

    name: str
    version: str
    accelerators: tuple[str, ...]
    missing: str = ""
    remedy: str = ""


def find(name: str) -> "Engine":
    """The engine of that name, started.

    Raises:
        BadInput: no such engine, or it cannot be used here; says how to get it.
    """
    if name not in MODULES:
        raise BadInput(f"no engine {name!r}: the engines are {', '.join(MODULES)}")
    try:
        return cast("Engine", importlib.import_module(MODULES[name]).create())
    except ImportError as error:
        raise BadInput(f"the engine {name} is not usable here ({_line(error)}): {how_to_get(name)}") from None


def for_file(path: Path) -> "Engine":
    """The engine that runs files of this suffix.

    Raises:
        BadInput: no engine runs such files, or it cannot be used here.
    """
    return find(engine_name(path))


def engine_name(path: Path) -> str:
    """The name of the engine that runs files of this suffix.

    Raises:
        BadInput: none does.
    """
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        raise BadInput(
            f"{path}: no engine runs {path.suffix or 'files without a suffix'}: give a .tflite or .onnx file"
        )
    return name


def survey(names: Iterable[str] = ("litert", "onnxruntime", "openvino")) -> tuple[EngineFact, ...]:
    """What `doctor` says about each engine: present with its accelerators, or missing with the remedy."""
    return tuple(_fact(name) for name in names)


def _fact(name: str) -> EngineFact:
    try:
        engine = importlib.import_module(MODULES[name]).create()
    except ImportError as error:
        return EngineFact(name, "", (), missing=_line(error), remedy=how_to_get(name))
    return EngineFact(name, engine.version, engine.accelerators())


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
