"""What time it is on a device whose own clock may say anything."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.link.validity import TOLERANCE_S, KnownTime, out_of_time
from edge_node.membership.clock import Clock
from edge_node.membership.clock_file import KEEP_EVERY_S, ClockFile

YEAR = 365 * 86400.0
NOW = 1_800_000_000.0


class World:
    """A monotonic clock and a system clock that a test sets."""

    def __init__(self, system: float, floor: float = 0.0) -> None:
        self.monotonic, self.system = 1000.0, system
        self.clock = Clock(floor, lambda: self.monotonic, lambda: self.system)

    def later(self, seconds: float) -> None:
        self.monotonic += seconds
        self.system += seconds


def test_a_clock_that_nobody_contradicts_is_believed() -> None:
    world = World(NOW)
    assert world.clock.now() == NOW
    assert (world.clock.source, world.clock.system_is_wrong()) == ("system", False)


def test_a_device_that_boots_in_1970_goes_on_from_its_floor() -> None:
    world = World(0.0, floor=NOW)
    world.later(60)
    assert world.clock.now() == NOW + 60
    assert (world.clock.source, world.clock.system_is_wrong()) == ("floor", True)


@pytest.mark.parametrize("off", [-50 * YEAR, -20 * YEAR, 20 * YEAR])
def test_the_time_that_the_coordinator_says_wins_in_both_directions(off: float) -> None:
    world = World(NOW + off, floor=NOW - 40 * 86400)
    world.clock.told(NOW)
    world.later(10)
    assert world.clock.now() == pytest.approx(NOW + 10)
    assert world.clock.system_off_s() == pytest.approx(off)
    assert world.clock.system_is_wrong()


def test_the_time_is_asked_for_again_after_a_day_and_goes_on_meanwhile() -> None:
    world = World(NOW)
    world.clock.told(NOW)
    world.later(86399)
    before = world.clock.is_told
    world.later(2)
    assert (before, world.clock.is_told) == (True, False)
    assert (world.clock.now(), world.clock.source) == (NOW + 86401, "coordinator")


def test_a_clock_that_jumps_back_changes_nothing_once_the_time_is_told() -> None:
    world = World(NOW)
    world.clock.told(NOW)
    world.system -= 10 * YEAR
    assert world.clock.now() == NOW


def test_a_wrong_system_clock_never_raises_the_floor() -> None:
    world = World(NOW + 20 * YEAR, floor=NOW)
    world.clock.reached(NOW + 5)
    assert world.clock.floor == NOW + 5


def test_a_coordinator_that_was_years_ahead_once_is_met_again_and_expiry_stays_careful() -> None:
    world = World(NOW)
    world.clock.reached(NOW + 20 * YEAR)
    assert out_of_time(NOW - 1, NOW + YEAR, world.clock.known())
    world.clock.told(NOW)
    assert world.clock.now() == NOW
    assert out_of_time(NOW - 1, NOW + YEAR, world.clock.known()) == ""
    assert world.clock.for_expiry() == NOW + 20 * YEAR


@given(st.lists(st.floats(0, 4 * NOW), max_size=10))
def test_the_floor_never_falls(times: list[float]) -> None:
    world, before = World(NOW), 0.0
    for seconds in times:
        world.clock.reached(seconds)
        assert world.clock.floor >= max(before, seconds)
        before = world.clock.floor


def test_certificates_of_others_are_judged_by_what_is_signed_alone() -> None:
    in_2046 = World(NOW + 20 * YEAR)
    assert out_of_time(NOW - 1, NOW + 1, in_2046.clock.known()) == ""
    in_2046.clock.told(NOW)
    assert out_of_time(NOW - 1, NOW + 1, in_2046.clock.known()) == ""
    assert "expired on 2027-01-1" in out_of_time(NOW - 86400, NOW - TOLERANCE_S - 1, in_2046.clock.known())
    assert "not valid before" in out_of_time(NOW + TOLERANCE_S + 1, NOW + 86400, in_2046.clock.known())


def test_a_floor_alone_says_what_is_over_and_nothing_of_what_is_to_come() -> None:
    known = KnownTime(earliest=NOW)
    assert out_of_time(NOW + YEAR, NOW + 2 * YEAR, known) == ""
    assert out_of_time(0, NOW - 2 * TOLERANCE_S, known)


def test_the_floor_is_kept_rarely_and_at_the_end(tmp_path: Path) -> None:
    file = ClockFile(tmp_path / "clock.json")
    assert file.load() == 0.0
    file.keep(NOW)
    written = (tmp_path / "clock.json").stat().st_mtime_ns
    file.keep(NOW + KEEP_EVERY_S - 1)
    assert (tmp_path / "clock.json").stat().st_mtime_ns == written
    file.keep(NOW + KEEP_EVERY_S - 1, at_once=True)
    assert ClockFile(tmp_path / "clock.json").load() == NOW + KEEP_EVERY_S - 1


def test_a_damaged_floor_is_a_new_beginning(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_bytes(b"\xff{")
    assert ClockFile(tmp_path / "clock.json").load() == 0.0
