"""A part of a rollout's members: `5%` of them, or a number. Pure."""

import math
import re
from fractions import Fraction

from coordinator.errors import BadInput

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}")


def checked_share(text: str, where: str) -> str:
    """The share as it is kept: without blanks.

    Raises:
        BadInput: neither a percentage up to 100 nor a number.
    """
    found = text.strip()
    percent = _PERCENT.fullmatch(found)
    if _NUMBER.fullmatch(found) is None and (percent is None or Fraction(percent[1]) > 100):
        raise BadInput(f"{where}: {text!r} is not a share: write a percentage like 5%, or a number of nodes like 3")
    return found.replace(" ", "")


def fraction_of(share: str, total: int) -> Fraction:
    """The share as a fraction of `total` members, at most 1."""
    if share.endswith("%"):
        return Fraction(share[:-1]) / 100
    return min(Fraction(int(share), max(total, 1)), Fraction(1))


def at_most(share: str, total: int) -> int:
    """How many members a limit allows: rounded down."""
    return math.floor(fraction_of(share, total) * total) if share.endswith("%") else int(share)


def about(share: str, total: int) -> int:
    """How many members a wave reaches: rounded, half upwards, and never more than there are."""
    return math.floor(fraction_of(share, total) * total + Fraction(1, 2))
