"""Maintenance windows: when a node may be given a new version, in its own time zone. Pure (zones are IANA data).

A window is a stretch between two wall-clock times; where the clock is put forward or back meanwhile it is an hour
shorter or longer. A time of day that does not exist that day counts as if the clock had not been put forward yet.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from coordinator.errors import BadInput
from coordinator.rollouts.spec import Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(?:(?P<days>[a-z,\- ]*[a-z]) +)?(?P<start>\S+?) ?- ?(?P<end>\S+)", re.IGNORECASE)
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_AHEAD = 15
"""Days to look for the next window: each begins within a week, but where the clock jumps over it within two."""


@dataclass(frozen=True)
class Opening:
    """Whether a node may start now; else when it may, and that moment as its clock shows it."""

    open: bool
    at: datetime | None = None
    text: str = ""


ALWAYS = Opening(open=True)


def parse_window(text: str, where: str) -> Window:
    """`22:00-06:00`, `sat,sun 00:00-24:00`, `mon-fri 22:00-06:00`.

    Raises:
        BadInput: not of that form.
    """
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{where}: {text!r} is not a window: write for example 22:00-06:00 or sat,sun 00:00-24:00")
    start, end = _clock(found["start"], where), _clock(found["end"], where)
    if start == "24:00" or start == end:
        raise BadInput(f"{where}: {text!r} has no length: for a whole day write 00:00-24:00")
    return Window(start, end, _days(found["days"] or "", where))


def window_text(window: Window) -> str:
    """The window as it is written; `parse_window` gives it back."""
    days = f"{','.join(window.days)} " if window.days else ""
    return f"{days}{window.start}-{window.end}"


def opening(windows: tuple[Window, ...], zone: str, now: datetime) -> Opening:
    """Whether one of the windows is open, or when the next one is. No windows: always.

    A time zone that is not known counts as UTC.
    """
    if not windows:
        return ALWAYS
    local = zone_of(zone)
    stretches = _all_stretches(windows, local, now)
    if any(start <= now < end for start, end in stretches):
        return ALWAYS
    at = min(start for start, _ in stretches if start > now)
    return Opening(open=False, at=at, text=_shown(at, now, local))


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name; UTC where it is empty or not known."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):  # not found, no key at all, a folder of zones
        return ZoneInfo("UTC")


def _all_stretches(windows: tuple[Window, ...], zone: ZoneInfo, now: datetime) -> list[tuple[datetime, datetime]]:
    found = (stretch for window in windows for stretch in _stretches(window, zone, now))
    return [(start, end) for start, end in found if start < end]


def _stretches(window: Window, zone: ZoneInfo, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The window's stretches in UTC: of yesterday, which may last until now, to a week ahead."""
    today = now.astimezone(zone).date()
    for offset in range(-1, _AHEAD + 1):
        day = today + timedelta(days=offset)
        if window.days and DAYS[day.weekday()] not in window.days:
            continue
        ends = day if window.end > window.start and window.end != "24:00" else day + timedelta(days=1)
        yield _moment(day, window.start, zone), _moment(ends, window.end, zone)


def _moment(day: date, clock: str, zone: ZoneInfo) -> datetime:
    at = time() if clock == "24:00" else time.fromisoformat(clock)
    return datetime.combine(day, at, zone).astimezone(UTC)


def _shown(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    day = "" if local.date() == now.astimezone(zone).date() else f"{DAYS[local.weekday()]} "
    return f"{day}{local:%H:%M} {zone.key}"


def _clock(text: str, where: str) -> str:
    padded = f"0{text}" if len(text) == 4 else text
    if _CLOCK.fullmatch(padded) is None:
        raise BadInput(f"{where}: {text!r} is not a time of day: write 22:00")
    return padded


def _days(text: str, where: str) -> tuple[str, ...]:
    parts = [part.strip().lower() for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(day for part in parts for day in _span(part, where)))


def _span(part: str, where: str) -> Iterable[str]:
    first, dash, last = (piece.strip() for piece in part.partition("-"))
    for day in (first, last) if dash else (first,):
        if day not in DAYS:
            raise BadInput(f"{where}: {day!r} is not a day: write one of {', '.join(DAYS)}")
    begin = DAYS.index(first)
    length = (DAYS.index(last) - begin) % len(DAYS) if dash else 0
    return (DAYS[(begin + step) % len(DAYS)] for step in range(length + 1))
