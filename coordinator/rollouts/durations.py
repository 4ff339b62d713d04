"""Times as rollouts are written: `90s`, `10m`, `1h30m`, `2d`. Pure."""

import re

from coordinator.errors import BadInput

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8}(?:\.\d{1,3})?)s)?", re.ASCII)
MOST_S = 366 * 86400.0


def seconds_of(text: str, where: str) -> float:
    """The seconds that a duration has; the largest unit comes first, and `0` is none.

    Raises:
        BadInput: it is none, or longer than a year.
    """
    found = _DURATION.fullmatch(text.strip())
    if text.strip() == "0":
        return 0.0
    if found is None or not any(found.groups()):
        raise BadInput(f"{where}: {text!r} is not a duration: write for example 90s, 10m or 1h30m")
    parts = zip(found.groups(), _UNITS.values(), strict=True)
    total = sum(float(number) * unit for number, unit in parts if number is not None)
    if total > MOST_S:
        raise BadInput(f"{where}: {text!r} is longer than a year")
    return total


def duration(seconds: float) -> str:
    """The seconds as a duration, to the millisecond: `seconds_of` gives them back.

    >>> duration(5400.5)
    '1h30m0.5s'
    """
    thousandths = round(seconds * 1000)
    whole, rest = divmod(thousandths, 1000)
    written = ""
    for unit, length in _UNITS.items():
        count, whole = divmod(whole, length)
        if unit == "s" and rest:
            written += f"{count}.{rest:03d}".rstrip("0") + "s"
        elif count:
            written += f"{count}{unit}"
    return written or "0"
