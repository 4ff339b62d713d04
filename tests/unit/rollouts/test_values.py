"""Durations, shares and the values of a specification's keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import BadInput
from coordinator.rollouts.durations import duration, seconds_of
from coordinator.rollouts.shares import about, at_most, checked_share, fraction_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1.5s", 90061.5), ("0", 0), (" 5m ", 300)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text, "f") == seconds


@pytest.mark.parametrize("text", ["", "m", "10", "5 m", "30m1h", "-5m", "1.5h", "10min", "99999d", "\u0661m"])
def test_what_is_no_duration_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput, match=r"^f: shadow: .*") as refused:
        seconds_of(text, "f: shadow")
    assert "\n" not in str(refused.value)


@given(st.integers(0, 366 * 86400 * 1000))
def test_a_duration_is_written_as_it_is_read(thousandths: int) -> None:
    assert seconds_of(duration(thousandths / 1000), "f") == pytest.approx(thousandths / 1000, abs=1e-4)


@pytest.mark.parametrize("text", ["5%", "12.5%", "100%", "3", " 5 % ".strip()])
def test_a_share_is_a_percentage_or_a_number(text: str) -> None:
    assert checked_share(text, "f") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "%", "101%", "-1", "1.5", "five", "5%%", "1e3"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a share"):
        checked_share(text, "f")


@pytest.mark.parametrize(
    ("share", "total", "limit", "reach"),
    [("5%", 100, 5, 5), ("5%", 10, 0, 1), ("25%", 10, 2, 3), ("50", 10, 50, 10), ("1%", 3, 0, 0), ("33.3%", 3, 0, 1)],
)
def test_limits_are_rounded_down_and_waves_half_upwards(share: str, total: int, limit: int, reach: int) -> None:
    assert (at_most(share, total), about(share, total)) == (limit, reach)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_number_never_reaches_more_than_there_are(number: int, total: int) -> None:
    assert 0 <= fraction_of(str(number), total) <= 1
    assert about(str(number), total) == min(number, total)
