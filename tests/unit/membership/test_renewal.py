"""When a certificate is renewed."""

from hypothesis import given
from hypothesis import strategies as st

from edge_node.membership.renewal import EXPIRED_LONGEST_S, LONGEST_S, jitter_of, next_try_s, renewal_at

HOUR = 3600.0
DAY = 24 * HOUR


@given(st.floats(0, 1))
def test_a_certificate_is_renewed_about_half_way(jitter: float) -> None:
    assert 45 * DAY <= renewal_at(0, 90 * DAY, jitter) <= 54 * DAY


def test_a_fleet_enrolled_in_one_second_spreads_its_renewals() -> None:
    moments = {renewal_at(0, 90 * DAY, jitter_of(f"{number:032x}", 0)) for number in range(100)}
    assert max(moments) - min(moments) > 7 * DAY


def test_the_jitter_of_a_certificate_is_the_same_after_a_restart_and_another_for_the_next() -> None:
    assert jitter_of("a" * 32, 1000) == jitter_of("a" * 32, 1000)
    assert jitter_of("a" * 32, 1000) != jitter_of("a" * 32, 2000)


@given(st.integers(1, 1000), st.floats(-1e9, 1e9), st.floats(0, 1))
def test_a_failed_renewal_is_tried_again_soon_and_never_in_a_storm(attempt: int, left: float, jitter: float) -> None:
    wait = next_try_s(attempt, left, jitter)
    assert 2.5 <= wait <= LONGEST_S
    if left <= 0:
        assert wait <= EXPIRED_LONGEST_S


def test_a_certificate_of_an_hour_is_tried_many_times_before_it_ends() -> None:
    left, attempts = 0.5 * HOUR, 0
    while left > 0:
        attempts += 1
        left -= next_try_s(attempts, left, 1.0)
    assert attempts > 20
