"""The values of a specification's keys, as people write them. Pure."""

from collections.abc import Mapping
from typing import Any

from coordinator.errors import BadInput
from coordinator.rollouts.durations import seconds_of
from coordinator.rollouts.shares import checked_share
from coordinator.rollouts.windows import parse_window, window_text

Words = tuple[str, ...] | str
"""a list, or one text with commas"""
Share = str | int
Duration = str | int
"""a number alone is seconds"""


def read_seconds(value: Duration, where: str) -> float:
    """The seconds of a duration."""
    return seconds_of(f"{value}s" if isinstance(value, int) else value, where)


def read_share(value: Share, where: str) -> str:
    """A share of the members; the empty one stays."""
    return checked_share(str(value), where) if value != "" else ""


def read_part_of_frames(value: Share | float, where: str) -> float:
    """A share of frames, as a number up to 1."""
    text = str(value).strip()
    try:
        part = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        part = -1.0
    if not 0 < part <= 1:
        raise BadInput(f"{where}: {text!r} is not a share of frames: write for example 25% or 0.25")
    return part


def read_shift(text: str, where: str) -> str:
    """A shift of every day."""
    window = parse_window(text, f"{where}: shifts")
    if window.days:
        raise BadInput(f"{where}: shifts: {text!r} has days: a shift is of every day")
    return window_text(window)


def read_count(text: str | int, where: str) -> int:
    """How many nodes of a group."""
    if not str(text).isdecimal() or int(text) < 1:
        raise BadInput(f"{where}: per_group: {text!r} is not a number of nodes")
    return int(text)


def read_words(value: tuple[Share, ...] | str) -> tuple[str, ...]:
    """The words of a list, each of which may be several with commas."""
    texts = (value,) if isinstance(value, str) else tuple(str(item) for item in value)
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def read_windows(value: Words) -> tuple[str, ...]:
    """Windows have commas of their own: in one text they are parted by semicolons."""
    texts = (value,) if isinstance(value, str) else value
    return tuple(word.strip() for text in texts for word in text.split(";") if word.strip())


def read_pairs(value: Mapping[str, Any] | Words, where: str) -> dict[str, Any]:
    """`key=value,key=value`, or the table itself."""
    if isinstance(value, Mapping):
        return dict(value)
    found = [word.partition("=") for word in read_words(value)]
    if any(not key or not text for key, _, text in found):
        raise BadInput(f"{where}: write key=value, parted by commas")
    return {key.strip(): text.strip() for key, _, text in found}
