"""Models copied to where a worker may read them: that folder and nothing else of the disk.

A copy also holds still: a file that is replaced, or cut short while an engine has it mapped, changes nothing that
serves. Where the file system can, a copy shares its blocks with the file.
"""

import os
import shutil
from pathlib import Path

from edge_node.errors import BadInput
from edge_node.repository.found import Found

_CHUNK = 1 << 30


def stage(found: Found, folder: Path) -> Path:
    """Copy a version's files below a new folder; the copy of `found.path`.

    Raises:
        BadInput: a file went away or cannot be read, or there is no space.
    """
    try:
        folder.mkdir(parents=True)
        for name in found.files:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy(found.folder / name, place)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BadInput(f"{error.filename or found.path}: {error.strerror}") from None
    return folder if found.bundle else folder / found.path.name


def discard(folder: Path) -> None:
    """Remove a copy that nothing has loaded any more."""
    shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        left = os.fstat(reading.fileno()).st_size
        try:
            while left > 0 and (done := os.copy_file_range(reading.fileno(), writing.fileno(), min(left, _CHUNK))):
                left -= done
        except OSError:  # not between these file systems
            reading.seek(0)
            writing.seek(0)
            writing.truncate()
            shutil.copyfileobj(reading, writing, 1 << 20)
