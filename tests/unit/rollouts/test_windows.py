"""Maintenance windows in a node's own time zone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import BadInput
from coordinator.rollouts.spec import Window
from coordinator.rollouts.windows import ALWAYS, DAYS, opening, parse_window, window_text

NIGHT = (Window("22:00", "06:00"),)
ROME = "Europe/Rome"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("22:00-06:00", Window("22:00", "06:00")),
        ("sat,sun 0:00-24:00", Window("00:00", "24:00", ("sat", "sun"))),
        ("Mon-Wed 01:00-02:30", Window("01:00", "02:30", ("mon", "tue", "wed"))),
        ("fri-mon 22:00 - 23:00", Window("22:00", "23:00", ("fri", "sat", "sun", "mon"))),
    ],
)
def test_a_window_is_read(text: str, window: Window) -> None:
    assert parse_window(text, "f") == window


@pytest.mark.parametrize(
    "text",
    ["", "22:00", "25:00-26:00", "22-6", "24:00-06:00", "06:00-06:00", "sonntag 1:00-2:00", "sat sun 1:00-2:00", "é"],
)
def test_what_is_no_window_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput, match=r"^f: windows: [^\n]*$"):
        parse_window(text, "f: windows")


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
windows = st.builds(
    Window, clocks, clocks | st.just("24:00"), st.lists(st.sampled_from(DAYS), unique=True).map(tuple)
).filter(lambda window: window.start != window.end)


@given(windows)
def test_a_window_is_written_as_it_is_read(window: Window) -> None:
    assert parse_window(window_text(window), "f") == window


@pytest.mark.parametrize(
    ("now", "zone", "open_", "text"),
    [
        ("2026-05-01T21:59", "", False, "22:00 UTC"),
        ("2026-05-01T22:00", "", True, ""),
        ("2026-05-02T05:59", "", True, ""),
        ("2026-05-02T06:00", "", False, "22:00 UTC"),
        ("2026-05-01T19:59", ROME, False, "22:00 Europe/Rome"),
        ("2026-05-01T20:00", ROME, True, ""),
        ("2026-05-01T20:00", "no/where", False, "22:00 UTC"),
        ("2026-05-01T20:00", "../etc/passwd", False, "22:00 UTC"),
    ],
)
def test_a_window_of_the_night_is_the_nights_of_the_node(now: str, zone: str, open_: bool, text: str) -> None:
    found = opening(NIGHT, zone, utc(now))
    assert (found.open, found.text) == (open_, text)


def test_without_windows_it_is_always_open() -> None:
    assert opening((), ROME, utc("2026-05-01T12:00")) is ALWAYS


def test_a_day_is_that_on_which_the_window_begins() -> None:
    saturday = (Window("22:00", "06:00", ("sat",)),)
    assert opening(saturday, "", utc("2026-05-03T05:00")).open  # the night to Sunday
    friday = opening(saturday, "", utc("2026-05-01T23:00"))
    assert (friday.open, friday.text) == (False, "sat 22:00 UTC")


def test_the_clock_that_is_put_forward_makes_the_night_shorter_and_put_back_longer() -> None:
    early = (Window("00:00", "06:00"),)
    assert opening(early, ROME, utc("2026-03-29T03:59")).open
    assert not opening(early, ROME, utc("2026-03-29T04:00")).open
    assert opening(early, ROME, utc("2026-10-24T22:00")).open
    assert opening(early, ROME, utc("2026-10-25T04:59")).open


def test_a_window_that_the_clock_jumps_over_is_open_the_next_time() -> None:
    jumped = (Window("02:30", "03:15", ("sun",)),)  # 02:30 does not exist, 03:15 is before what it counts as
    found = opening(jumped, ROME, utc("2026-03-28T12:00"))
    assert found.at == utc("2026-04-05T00:30")


@given(
    st.lists(windows, min_size=1, max_size=3).map(tuple),
    st.sampled_from(("", ROME, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")),
    st.integers(0, 2 * 365 * 24 * 60),
)
def test_what_is_closed_opens_when_it_says_and_not_before(found: tuple[Window, ...], zone: str, minutes: int) -> None:
    now = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    now_open = opening(found, zone, now)
    if now_open.at is None:
        assert now_open.open
    else:
        assert now < now_open.at <= now + timedelta(days=15)
        assert opening(found, zone, now_open.at).open
        assert not opening(found, zone, now_open.at - timedelta(minutes=1)).open
