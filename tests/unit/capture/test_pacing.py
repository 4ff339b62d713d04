"""Rates and paces, with time as a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.capture.backoff import FIRST_S, MOST_S, retry_delay_s
from edge_node.capture.pacing import Pace, Thinning

RATES = st.floats(0.5, 60)


def kept(fps: float | None, times: list[float]) -> list[float]:
    thinning = Thinning(fps)
    return [time for time in times if thinning.keeps(time)]


@pytest.mark.parametrize(("fps", "frames"), [(20, 280), (5, 70), (1, 14), (7, 98), (30, 280), (None, 280)])
def test_a_14_second_video_of_20_fps_is_thinned_to_the_rate(fps: float | None, frames: int) -> None:
    assert len(kept(fps, [index / 20 for index in range(280)])) == frames


@given(RATES, RATES)
def test_no_rate_keeps_more_than_it_says(fps: float, stream_fps: float) -> None:
    times = [index / stream_fps for index in range(200)]
    assert len(kept(fps, times)) <= times[-1] * fps + 2


@given(RATES, st.lists(st.floats(0, 1e6), min_size=1))
def test_the_first_frame_is_kept_whatever_the_times(fps: float, times: list[float]) -> None:
    assert kept(fps, times)[0] == times[0]


def test_a_stream_that_begins_again_is_thinned_from_its_beginning() -> None:
    assert kept(1.0, [0.0, 0.5, 1.0, 0.0, 0.5, 1.0]) == [0.0, 1.0, 0.0, 1.0]


def test_a_stall_is_not_made_up_for() -> None:
    assert kept(1.0, [0.0, 10.0, 10.1, 10.2, 11.0]) == [0.0, 10.0, 11.0]


def test_frames_are_due_at_their_stream_time() -> None:
    pace = Pace()
    assert [pace.wait_s(0.0, 100.0), pace.wait_s(0.5, 100.1), pace.wait_s(1.0, 101.2)] == pytest.approx([0, 0.4, 0])


def test_a_file_that_begins_again_does_so_one_frame_after_its_last() -> None:
    pace = Pace()
    for index in range(280):
        pace.wait_s(index / 20, 100.0 + index / 20)
    assert pace.wait_s(0.0, 113.96) == pytest.approx(0.04)
    assert pace.wait_s(0.05, 114.0) == pytest.approx(0.05)


def test_a_player_that_was_suspended_goes_on_from_where_it_is() -> None:
    pace = Pace()
    pace.wait_s(0.0, 100.0)
    assert pace.wait_s(0.05, 200.0) == 0
    assert pace.wait_s(0.1, 200.0) == pytest.approx(0.05)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_retry_waits_at_least_half_of_the_doubling_delay_and_never_more_than_the_most(
    attempt: int, chance: float
) -> None:
    full = min(MOST_S, FIRST_S * 2 ** min(attempt - 1, 16))
    assert full / 2 <= retry_delay_s(attempt, chance) <= full


@given(st.floats(1, 30), st.integers(1, 400))
def test_who_begins_later_keeps_the_same_frames(fps: float, skipped: int) -> None:
    times = [index / 30 for index in range(600)]
    first, late = kept(fps, times), kept(fps, times[skipped:])
    after = late[1:]  # the first one is kept whenever it comes
    assert after == [time for time in first if time > late[0]]
