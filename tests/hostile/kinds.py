"""What a hostile file is, and how one is described before it is written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

StoppedBy = Literal["admission", "worker"]


@dataclass(frozen=True)
class Hostile:
    """A hostile file; `why` says what it would do."""

    path: Path
    stopped_by: StoppedBy
    why: str


@dataclass(frozen=True)
class Recipe:
    """A hostile file that is not yet written: its path below the corpus folder, and what writes it there."""

    path: PurePosixPath
    stopped_by: StoppedBy
    why: str
    write: Callable[[Path], object]


def refused(name: str, why: str, content: Callable[[], bytes]) -> Recipe:
    """A file that admission refuses."""
    return Recipe(PurePosixPath(name), "admission", why, lambda path: path.write_bytes(content()))


def contained(name: str, why: str, content: Callable[[], bytes]) -> Recipe:
    """A file that the worker contains."""
    return Recipe(PurePosixPath(name), "worker", why, lambda path: path.write_bytes(content()))


def sparse(name: str, why: str, size: int, start: bytes = b"") -> Recipe:
    """A file that admission refuses for its size: the start, then a hole."""

    def write(path: Path) -> None:
        path.write_bytes(start)
        with path.open("r+b") as file:
            file.truncate(size)

    return Recipe(PurePosixPath(name), "admission", why, write)
