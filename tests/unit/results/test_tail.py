"""Watchers of results: what they want, and what happens to a slow one."""

import asyncio

from coordinator.results.query import Filter
from coordinator.results.records import Arrival, Kind
from coordinator.results.tail import Batch, Subscription, TailHub
from tests.durable.node import NODE
from tests.unit.results.arrivals import STREAM


def results(*numbers: int, site: str = "store-12") -> list[Arrival]:
    return [Arrival(Kind.RESULT, NODE, STREAM, seq, seq, b"%d" % seq, site=site, name="cam-3") for seq in numbers]


async def test_a_watcher_gets_what_it_wants_in_the_order_of_the_commits() -> None:
    hub = TailHub()
    with hub.subscribe(Filter(site="store-12", node="cam-3")) as subscription:
        await asyncio.to_thread(hub.publish, results(1, 2))
        await asyncio.to_thread(hub.publish, results(3, site="other"))
        await asyncio.to_thread(hub.publish, results(4))
        await asyncio.sleep(0)
        hub.close()
        events = [event async for batch in subscription for event in batch.events]
    assert events == [b"1", b"2", b"4"]


async def test_a_slow_watcher_loses_the_oldest_and_is_told_how_many() -> None:
    subscription = Subscription(Filter(), max_waiting=3)
    subscription.offer(results(*range(1, 11)))
    subscription.close()
    assert [batch async for batch in subscription] == [Batch(tuple(results(8, 9, 10)), dropped=7)]


async def test_without_watchers_nothing_is_kept() -> None:
    hub = TailHub()
    hub.publish(results(1))
    with hub.subscribe(Filter()) as subscription:
        hub.publish(results(2))
        await asyncio.sleep(0)
        hub.close()
        assert [batch.events async for batch in subscription] == [(b"2",)]
