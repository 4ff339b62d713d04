"""The file of API keys: JSON, mode 0600, read again when it has changed. Keys themselves are never in it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.errors import BadInput, Refused
from edge_node.serving.firewall.keys import Key
from edge_node.store.files import write_durably

LOOK_S = 1.0
"""A key that was deleted is refused after so long at the latest."""
_OTHERS = 0o077


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file, none where there is no file.

    Raises:
        BadInput: it cannot be read, or is no file of keys.
        Refused: others may read or change it.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise Refused(f"{path}: others may read or change this file of keys: chmod 600 {path}")
            return msgspec.json.decode(file.read(), type=tuple[Key, ...])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: give a file of keys that this user can read") from None
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path} is no file of keys ({error}): make one with edge-node key create") from None


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """Replace the file. Raises BadInput where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(path, msgspec.json.format(msgspec.json.encode(tuple(keys))) + b"\n", mode=0o600)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: give --key-file a place that this user can write") from None


class KeyFile:
    """Keys as the file had them at the last look. A file that has become unreadable leaves those of before."""

    def __init__(self, path: Path) -> None:
        self.keys: tuple[Key, ...] = ()
        self._path = path
        self._seen: tuple[int, ...] = ()

    def look(self) -> bool:
        """Whether the keys have changed; a file that has not is not read again."""
        seen = self._stamp()
        if seen == self._seen:
            return False
        self._seen, before = seen, self.keys
        with suppress(BadInput, Refused):
            self.keys = read_keys(self._path)
        return self.keys != before

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return (0,)
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
