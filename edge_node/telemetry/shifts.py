"""Which shift it is. Pure: the time of day is an argument.

A shift is "HH:MM-HH:MM" in the node's own time zone, its end excluded; one that ends before it begins passes midnight.
Where several hold, the first by name counts, so that slices add up.
"""

import re
from collections.abc import Mapping

DAY_MIN = 24 * 60
_SHIFT = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


def shift_of(shifts: Mapping[str, str], minute: int) -> str:
    """The shift at a minute of the day, 0 to 1439; empty in none of them. What cannot be read is no shift."""
    return next((name for name in sorted(shifts) if _holds(shifts[name], minute)), "")


def _holds(shift: str, minute: int) -> bool:
    read = _SHIFT.fullmatch(shift.strip())
    if read is None:
        return False
    begins, ends = int(read[1]) * 60 + int(read[2]), int(read[3]) * 60 + int(read[4])
    return (minute - begins) % DAY_MIN < ((ends - begins) % DAY_MIN or DAY_MIN)
