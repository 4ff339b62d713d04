"""Files with secrets: for their owner alone from the first moment, and never in place of another file."""

import os
from pathlib import Path

from coordinator.errors import BadInput, Conflict
from coordinator.folder import replace_file


def write_secret(file: Path, content: bytes) -> None:
    """Write a new file with mode 0600.

    Raises:
        Conflict: the file is there already.
        BadInput: it cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"{file} is there already: remove it, or choose another name") from None
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)


def replace_secret(file: Path, content: bytes) -> None:
    """Write a file in place of one that is there, with mode 0600: after a crash it is the old one or the new one.

    Raises:
        BadInput: it cannot be written.
    """
    try:
        replace_file(file, content, 0o600)
    except OSError as error:
        raise BadInput(f"{error.filename or file}: {error.strerror}") from None


def check_new(file: Path) -> None:
    """The file is not there yet: asked before something is made that could then not be kept.

    Raises:
        Conflict: it is.
    """
    if file.exists():
        raise Conflict(f"{file} is there already: remove it, or choose another name")
