"""Which other files a model file needs: an `.onnx` file may keep its weights beside it. The file is read as data."""

import mmap
from contextlib import suppress
from pathlib import Path

from edge_node.errors import NearfieldError


def weights_of(model: Path) -> tuple[Path, ...]:
    """The files in the model's folder that hold its weights; none where it is no model, which its engine will say."""
    if model.suffix.lower() != ".onnx" or not model.is_file() or not _names_files(model):
        return ()
    from edge_node.engine.admission import admit  # few models have weights beside them; every command starts faster

    names: tuple[str, ...] = ()
    with suppress(NearfieldError):  # whoever opens it will say so
        names = admit(model, "onnxruntime")
    folder = model.resolve().parent
    beside = [(folder / name).resolve() for name in names]
    return tuple(path for path in beside if path.is_relative_to(folder) and path.is_file())


def _names_files(model: Path) -> bool:
    """Whether an .onnx file may keep weights outside: it then has the name of the key that says where."""
    with (
        suppress(OSError, ValueError),  # gone, or empty: whoever opens it will say so
        model.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(b"location") >= 0
    return False
