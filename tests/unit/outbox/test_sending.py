"""The sender against the receiver: both are pure, the network between them is hypothesis."""

from hypothesis import given
from hypothesis import strategies as st

from edge_node.outbox.sending import FIRST_MESSAGES, LONGEST_PATIENCE_S, MAX_BYTES, PATIENCE_S, Sending


def test_no_more_is_under_way_than_the_window_allows() -> None:
    sending = Sending(0)
    while sending.has_room():
        sending.on_sent(sending.sent + 1, 100, now=0.0)
    assert sending.sent == FIRST_MESSAGES
    sending.on_acked(1, now=0.0)
    assert sending.has_room()


def test_large_messages_fill_the_window_by_their_bytes() -> None:
    sending = Sending(0)
    sending.on_sent(1, MAX_BYTES, now=0.0)
    assert not sending.has_room()


def test_without_an_acknowledgement_everything_is_sent_again_ever_more_patiently() -> None:
    sending, now, waited = Sending(7), 0.0, []
    for _ in range(12):
        assert not sending.on_time(now)
        sending.on_sent(sending.sent + 1, 100, now)
        wait = sending.wait_s(now)
        assert wait is not None
        waited.append(wait)
        now += wait
        assert sending.on_time(now)
        assert sending.sent == sending.acked == 7
    assert waited[0] == PATIENCE_S
    assert waited[-1] == LONGEST_PATIENCE_S
    assert sending.limit == 1


def test_progress_restores_patience_and_window() -> None:
    sending = Sending(0)
    sending.on_sent(1, 100, 0.0)
    assert sending.on_time(100.0)
    halved = sending.limit
    sending.on_sent(1, 100, 100.0)
    sending.on_acked(1, 101.0)
    assert (sending.timeouts, sending.limit) == (0, halved + 1)
    assert sending.wait_s(101.0) is None


def test_nobody_acknowledges_what_was_not_sent() -> None:
    """A stolen coordinator can sign any number: results that were never sent stay."""
    sending = Sending(0)
    assert sending.on_acked(10**9, now=0.0) == 0
    sending.on_sent(5, 100, now=0.0)
    assert sending.on_acked(10**9, now=0.0) == 5
    assert (sending.acked, sending.sent, sending.furthest) == (5, 5, 5)
    sending.on_sent(9, 100, now=0.0)
    sending.on_connected()
    assert sending.sent == 5
    assert sending.on_acked(9, now=0.0) == 9  # it was sent, on the connection before


def test_a_new_connection_begins_behind_what_is_acknowledged() -> None:
    sending = Sending(0)
    for seq in (1, 2, 3):
        sending.on_sent(seq, 100, 0.0)
    sending.on_acked(1, 0.0)
    sending.on_connected()
    assert sending.sent == 1


def test_a_collector_that_lost_data_is_served_from_where_it_stands() -> None:
    sending = Sending(100)
    sending.on_acked(40, 0.0)
    assert sending.sent == sending.acked == 40


@given(st.lists(st.tuples(st.sampled_from(["send", "ack", "time", "connect"]), st.integers(0, 300)), max_size=200))
def test_whatever_happens_nothing_below_the_acknowledged_is_sent(events: list[tuple[str, int]]) -> None:
    sending, now = Sending(0), 0.0
    for what, number in events:
        now += 0.5
        if what == "send" and sending.has_room():
            sending.on_sent(sending.sent + 1 + number % 3, 1000, now)
        elif what == "ack":
            sending.on_acked(min(number, sending.sent), now)
        elif what == "time":
            sending.on_time(now)
        elif what == "connect":
            sending.on_connected()
        assert sending.sent >= sending.acked
        assert 1 <= sending.limit <= 512
        if sending.sent == sending.acked:
            assert sending.has_room()
