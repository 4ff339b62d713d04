"""When a lost connection is tried again: on the node, at the coordinator, for a broker of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.link import reconnect
from edge_node.link import session

attempts = st.integers(min_value=0, max_value=10_000)
randoms = st.floats(min_value=0, max_value=1)


@given(attempts, randoms)
def test_a_delay_lies_between_the_shortest_and_the_longest(attempt: int, random: float) -> None:
    backoff = session.Backoff(shortest_s=1, longest_s=30)
    assert 1 <= session.reconnect_delay(backoff, attempt, False, random) <= 30
    assert 1 <= reconnect.reconnect_delay(reconnect.Backoff(1, 30), attempt, False, random) <= 30


@pytest.mark.parametrize(("attempt", "ceiling"), [(0, 2), (1, 4), (2, 8), (3, 16), (4, 30), (100, 30)])
def test_the_ceiling_doubles_with_every_failed_attempt(attempt: int, ceiling: float) -> None:
    backoff = session.Backoff(shortest_s=1, longest_s=30)
    assert session.reconnect_delay(backoff, attempt, False, 0) == 1
    assert session.reconnect_delay(backoff, attempt, False, 1) == ceiling


@given(attempts, randoms)
def test_a_refusal_is_retried_slowly(attempt: int, random: float) -> None:
    backoff = session.Backoff(refused_s=30)
    assert 30 <= session.reconnect_delay(backoff, attempt, True, random) <= 60
    assert 30 <= reconnect.reconnect_delay(reconnect.Backoff(refused_s=30), attempt, True, random) <= 60


def test_a_fleet_that_lost_its_broker_does_not_come_back_in_step() -> None:
    drawn = {session.reconnect_delay(session.DEFAULT_BACKOFF, 0, False, n / 1000) for n in range(1000)}
    assert len(drawn) == 1000


def test_only_a_connection_that_lasted_makes_delays_short_again() -> None:
    assert session.next_attempt(3, 0.0) == 4
    assert session.next_attempt(3, session.LASTING_S - 0.1) == 4
    assert session.next_attempt(3, session.LASTING_S) == 0


def test_a_refusal_is_one_line_with_advice() -> None:
    line = session.refusal("mqtt://u@h:1883", "Not authorized")
    assert line == (
        "the broker at mqtt://u@h:1883 refuses the connection: not authorized: "
        "check the user name, the password and the broker's access rules"
    )
    assert session.refusal("mqtt://h:1883", "Banned").endswith("see the broker's log")


def test_connections_that_are_taken_over_time_and_again_say_that_a_disk_may_be_a_copy() -> None:
    short = 0
    for lasted_s in (3.0, 0.0, 20.0, 0.0, 59.0):
        short = session.next_short(short, lasted_s)
        assert session.rivalry("lost", short) == "lost"
    short = session.next_short(short, 5.0)
    assert "a copied disk" in session.rivalry("lost", short)
    assert session.rivalry("lost", session.next_short(short, 60.0)) == "lost"
