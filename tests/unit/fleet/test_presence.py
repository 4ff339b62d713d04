"""An old will cannot make a present node absent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.fleet.presence import Connection, Presence, after, must_be_said

NEVER = Connection()


def test_a_node_that_says_online_is_online() -> None:
    assert after(NEVER, "online", "c1") == Connection(Presence.ONLINE, "c1")


def test_the_will_of_its_newest_connection_takes_it_offline() -> None:
    assert after(Connection(Presence.ONLINE, "c1"), "offline", "c1").presence is Presence.OFFLINE


def test_the_late_will_of_an_older_connection_is_ignored() -> None:
    online = Connection(Presence.ONLINE, "c2")
    assert after(online, "offline", "c1") == online


def test_an_offline_of_a_node_never_seen_online_is_believed() -> None:
    assert after(NEVER, "offline", "c1") == Connection(Presence.OFFLINE, "c1")


@given(st.lists(st.tuples(st.sampled_from(["online", "offline"]), st.sampled_from(["c1", "c2", "c3"]))))
def test_a_node_is_online_exactly_if_its_newest_connection_has_not_ended(messages: list[tuple[str, str]]) -> None:
    current = NEVER
    for state, connection in messages:
        current = after(current, state, connection)  # type: ignore[arg-type]
    onlines = [index for index, (state, _) in enumerate(messages) if state == "online"]
    if onlines:
        newest = messages[onlines[-1]][1]
        ended = ("offline", newest) in messages[onlines[-1] :]
        assert current == Connection(Presence.OFFLINE if ended else Presence.ONLINE, newest)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (Presence.ONLINE, Presence.OFFLINE, True),
        (Presence.UNKNOWN, Presence.OFFLINE, True),
        (Presence.OFFLINE, Presence.ONLINE, True),
        (Presence.UNKNOWN, Presence.ONLINE, False),
        (Presence.OFFLINE, Presence.OFFLINE, False),
        (Presence.ONLINE, Presence.ONLINE, False),
    ],
)
def test_availability_is_said_for_a_node_that_went_and_once_more_when_it_is_back(
    before: Presence, now: Presence, said: bool
) -> None:
    assert must_be_said(before, now) is said
