"""Whether something below some folders has changed since the last look, at the price of a `stat` of each file.

Nothing is read: what it is that has changed is seen by a look (`found`).
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

DEEP = 3
"""levels below a path: `<repository>/<model>/<version>/model.*`"""

Stamp = tuple[tuple[str, int, int], ...]
"""Of each file and folder its path, its size and the time of its last change in nanoseconds."""


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """What changes when a file comes, goes, grows or is replaced; a path that is a file says nothing."""
    return tuple(sorted(one for path in paths for one in _below(path, DEEP)))


def _below(folder: str | Path, levels: int) -> Iterator[tuple[str, int, int]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a file, or gone meanwhile
        return
    for entry in entries:
        try:
            status = entry.stat()
        except OSError:
            continue
        yield entry.path, status.st_size, status.st_mtime_ns
        if levels > 1 and entry.is_dir():
            yield from _below(entry.path, levels - 1)
