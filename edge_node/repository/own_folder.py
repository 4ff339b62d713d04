"""A folder of a server's own for copies of models, gone with it: after a SIGKILL, with the next server that starts.

Its owner holds a lock on a file in it, which the kernel releases whichever way the owner ends. So a folder whose lock
can be had is nobody's any more. The file takes its name when it is locked already: a folder that is just being made
has none yet, and is left alone.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "nearfield-serve-"
OWNER = "owner"
"""the file that the owner locks"""


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder below the system's folder for temporary files; before, those of owners that are dead are removed.

    Raises:
        OSError: it cannot be made.
    """
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / f".{OWNER}").open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            (folder / f".{OWNER}").rename(folder / OWNER)
            yield folder


def sweep(place: Path) -> None:
    """Remove the folders of this user that nobody owns any more."""
    for folder in place.glob(f"{PREFIX}*"):
        if not folder.is_symlink() and folder.lstat().st_uid == os.geteuid() and _is_left(folder / OWNER):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(owner: Path) -> bool:
    try:
        with owner.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by its owner, or being made
        return False
    return True
