"""Who acts: one at a time, whatever the clocks say."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from coordinator.rollouts.lease import LASTS, given_back, is_worth_writing, taken
from coordinator.rollouts.store import Lease
from tests.unit.rollouts.examples import NOW, later

OF_A = Lease("a", 3, NOW + LASTS)


def test_the_first_takes_it_and_keeps_it_under_the_same_fence() -> None:
    first = taken(None, "a", NOW)
    assert first == Lease("a", 1, NOW + LASTS)
    assert taken(first, "a", later(100)) == Lease("a", 1, later(100) + LASTS)


def test_another_takes_it_only_when_it_is_over_and_under_a_higher_fence() -> None:
    assert taken(OF_A, "b", NOW + LASTS - timedelta(milliseconds=1)) is None
    assert taken(OF_A, "b", NOW + LASTS) == Lease("b", 4, NOW + 2 * LASTS)


def test_what_was_given_back_is_free_at_once() -> None:
    assert taken(given_back(OF_A, NOW), "b", NOW) == Lease("b", 4, NOW + LASTS)


def test_a_lease_of_a_clock_that_is_years_ahead_holds_nobody_up() -> None:
    assert taken(Lease("a", 3, NOW + timedelta(days=3650)), "b", NOW) == Lease("b", 4, NOW + LASTS)


def test_it_is_written_again_when_a_quarter_of_it_is_over() -> None:
    assert is_worth_writing(None, OF_A)
    assert is_worth_writing(OF_A, Lease("b", 4, OF_A.until))
    assert not is_worth_writing(OF_A, Lease("a", 3, OF_A.until + LASTS / 8))
    assert is_worth_writing(OF_A, Lease("a", 3, OF_A.until + LASTS / 2))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-100, 100)), max_size=50))
def test_fences_only_rise_and_each_has_one_holder(asks: list[tuple[str, float]]) -> None:
    held: Lease | None = None
    holders: dict[int, str] = {}
    for who, clock in asks:
        lease = taken(held, who, later(clock))
        if lease is None:
            continue
        assert held is None or lease.fence >= held.fence
        assert holders.setdefault(lease.fence, who) == who
        held = lease
