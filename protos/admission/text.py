"""Whether the text files of a bundle may be read: labels, and `model.toml`."""

import re
from typing import BinaryIO

from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed

Buffer = memoryview

_STRING_OR_COMMENT = re.compile(
    r'''"""(?:[^\\]|\\.?)*?(?:"""|\Z)|\'\'\'.*?(?:\'\'\'|\Z)|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?|#[^\n]*''', re.DOTALL
)
"""What has no keys in it. One that is not closed ends with the text or its line: all starts match, so it is linear."""
_LONG_KEY = re.compile(r"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){16}")
"""A key of so many parts: no manifest has more than one, and Python's reader takes their square in time."""


def check_labels(content: Buffer, limits: Limits = LIMITS) -> None:
    """Return if a label file is within the limits; one label per line.

    Raises:
        Malformed: not UTF-8.
        Inadmissible: beyond a limit.
    """
    check_size(len(content), limits.label_bytes, "labels")
    try:
        lines = bytes(content).decode().splitlines()
    except UnicodeDecodeError:
        raise Malformed("no text in UTF-8") from None
    if len(lines) > limits.labels:
        raise Inadmissible(f"{len(lines)} labels; at most {limits.labels} are taken")
    longest = max(map(len, lines), default=0)
    if longest > limits.label_length:
        raise Inadmissible(f"a label of {longest} characters; at most {limits.label_length} are taken")


def check_size(size: int, most: int, what: str) -> None:
    """Return if there are not more bytes.

    Raises:
        Inadmissible: there are.
    """
    if size > most:
        raise Inadmissible(f"{what} of {size} bytes; at most {most} are taken")


def manifest_text(file: BinaryIO, limits: Limits = LIMITS) -> str:
    """The text of a `model.toml` that is open for reading; of a larger file no more is read than shows it.

    Raises:
        Malformed: not UTF-8.
        Inadmissible: too large.
    """
    content = file.read(limits.manifest_bytes + 1)
    if len(content) > limits.manifest_bytes:
        raise Inadmissible(f"more than {limits.manifest_bytes} bytes, and no manifest needs as many")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Malformed("no text in UTF-8") from None


def check_toml(text: str, limits: Limits = LIMITS) -> None:
    """Return if a TOML document is short, and its keys are.

    Raises:
        Inadmissible: they are not.
    """
    check_size(len(text), limits.manifest_bytes, "a text")
    if _LONG_KEY.search(_STRING_OR_COMMENT.sub("q", text)):
        raise Inadmissible("a key of more than 16 parts")
