"""The limits of clients: tokens, requests at the same time, how many clients are remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.serving.firewall import clients as remembered
from edge_node.serving.firewall.bucket import Rate, full, is_full, take
from edge_node.serving.firewall.clients import ClientLimits, Clients
from edge_node.serving.inference import Kind, ServingError

RATES = st.builds(Rate, st.floats(0.1, 1000), st.integers(1, 100))
PAUSES = st.lists(st.floats(0, 10, allow_nan=False), max_size=80)


@given(RATES, PAUSES)
def test_in_any_time_there_are_at_most_the_burst_and_what_has_come(rate: Rate, pauses: list[float]) -> None:
    now, taken, bucket = 0.0, 0, full(rate, 0.0)
    for pause in pauses:
        now += pause
        taken += take(bucket, rate, now) == 0.0
        assert taken <= rate.burst + now * rate.per_s + 1e-6


@given(RATES, PAUSES)
def test_whoever_waits_as_long_as_said_gets_a_token(rate: Rate, pauses: list[float]) -> None:
    now, bucket = 0.0, full(rate, 0.0)
    for pause in pauses:
        now += pause
        wait_s = take(bucket, rate, now)
        if wait_s:
            now += wait_s + 1e-6
            assert take(bucket, rate, now) == 0.0


@given(RATES, st.floats(0, 100))
def test_a_clock_that_goes_back_neither_gives_nor_takes(rate: Rate, back: float) -> None:
    bucket = full(rate, 100.0)
    take(bucket, rate, 100.0)
    before = bucket.tokens
    take(bucket, rate, 100.0 - back)
    assert bucket.tokens == pytest.approx(before - 1 if before >= 1 else before)


def test_a_full_bucket_is_as_good_as_a_new_one() -> None:
    rate = Rate(1.0, 2)
    bucket = full(rate, 0.0)
    assert is_full(bucket, rate, 0.0)
    take(bucket, rate, 0.0)
    assert not is_full(bucket, rate, 0.5)
    assert is_full(bucket, rate, 1.0)


def test_one_client_who_asks_too_much_is_refused_and_the_others_are_not() -> None:
    clients = Clients(ClientLimits(Rate(10.0, 3)))
    for _ in range(3):
        clients.leave(clients.enter("greedy", 0.0))
    with pytest.raises(ServingError) as refusal:
        clients.enter("greedy", 0.0)
    assert (refusal.value.kind, refusal.value.cause) == (Kind.BUSY, "rate")
    assert refusal.value.retry_after_s == pytest.approx(0.1)
    clients.enter("other", 0.0)
    clients.enter("greedy", 0.11)


def test_requests_at_the_same_time_are_counted_until_they_end() -> None:
    clients = Clients(ClientLimits(concurrent=2))
    first = clients.enter("one", 0.0)
    clients.enter("one", 0.0)
    with pytest.raises(ServingError) as refusal:
        clients.enter("one", 0.0)
    assert (refusal.value.kind, refusal.value.cause) == (Kind.BUSY, "concurrent")
    clients.leave(first)
    clients.enter("one", 0.0)


def test_a_million_addresses_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 50)
    clients = Clients(ClientLimits(Rate(1.0, 5), 4))
    busy = clients.enter("busy", 0.0)
    for number in range(1000):
        clients.leave(clients.enter(f"stranger {number}", number * 0.5))
        assert len(clients) <= 51
    assert busy.in_work == 1
    for _ in range(3):
        clients.enter("busy", 600.0)
    with pytest.raises(ServingError):
        clients.enter("busy", 600.0)
