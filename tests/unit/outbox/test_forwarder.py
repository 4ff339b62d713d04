"""The forwarder against a simulated collector: the real outbox, the collector's own rules, a network that loses."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from coordinator.results.records import Arrival, Kind, read_message
from coordinator.results.sequence import take
from edge_node.config import OutboxLimits
from edge_node.link.gate import Gate
from edge_node.outbox import sending
from edge_node.outbox.events import encode_result
from edge_node.outbox.forwarder import Forwarder
from edge_node.outbox.queue import Outbox
from protos.identity import StreamId
from protos.topics import MAX_PAYLOAD, Topics
from tests.durable.node import DURABLE, NODE, draft
from tests.waiting import until


class Collector:
    """The other side: stores by the real rules; loses messages and goes deaf as it is told."""

    def __init__(self) -> None:
        self.connected = True
        self.deaf = False
        self.lose: Callable[[int], bool] = lambda _: False
        self.messages: list[list[Arrival]] = []
        self.stored: list[Arrival] = []
        self.through = 0
        self.gate = Gate(Topics())
        self.forwarder: Forwarder | None = None

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        assert (topic, qos, retain) == (DURABLE, 1, False)
        assert len(payload) <= MAX_PAYLOAD
        if not self.connected or not self.gate.may_leave(topic, payload):
            return False
        self.messages.append(read_message(payload, NODE))
        if not self.deaf and not self.lose(len(self.messages)):
            asyncio.get_running_loop().call_soon(self._commit, self.messages[-1])
        return True

    def _commit(self, arrivals: list[Arrival]) -> None:
        taken = take(self.through, arrivals)
        self.stored += [*taken.results, *taken.holes]
        self.through = taken.through
        assert self.forwarder is not None
        self.forwarder.acked(self.through)


@asynccontextmanager
async def running(path: Path, collector: Collector) -> AsyncIterator[Outbox]:
    outbox = Outbox(path, OutboxLimits())
    await outbox.open()
    collector.forwarder = Forwarder(
        outbox,
        collector.publish,
        node=NODE,
        topic=DURABLE,
        may_leave=lambda message: collector.gate.refusal(DURABLE, message) is None,
    )
    task = asyncio.create_task(collector.forwarder.run())
    yield outbox
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await outbox.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PATIENCE_S", 0.05)
    monkeypatch.setattr(sending, "LONGEST_PATIENCE_S", 0.1)


@pytest.fixture
def collector() -> Collector:
    return Collector()


async def test_a_node_that_keeps_up_sends_one_result_per_message(tmp_path: Path, collector: Collector) -> None:
    async with running(tmp_path / "o.db", collector) as outbox:
        for number in range(1, 21):
            outbox.submit([draft(f"r-{number}")])
            await until(lambda number=number: collector.through == number)  # type: ignore[misc]
    assert [len(message) for message in collector.messages] == [1] * 20
    assert b'"late":false' in collector.stored[0].event


async def test_a_backlog_goes_in_full_messages(tmp_path: Path, collector: Collector) -> None:
    collector.connected = False
    async with running(tmp_path / "o.db", collector) as outbox:
        outbox.submit([draft(f"r-{number}") for number in range(1000)])
        await until(lambda: outbox.last_seq == 1000)
        collector.connected = True
        await until(lambda: collector.through == 1000)
    assert max(len(message) for message in collector.messages) > 90
    assert len(collector.messages) < 100


async def test_lost_messages_are_sent_again_and_nothing_twice(tmp_path: Path, collector: Collector) -> None:
    collector.lose = lambda number: number % 3 == 0
    async with running(tmp_path / "o.db", collector) as outbox:
        for number in range(100):
            outbox.submit([draft(f"r-{number}")])
        await until(lambda: collector.through == 100)
    assert [arrival.seq for arrival in collector.stored] == list(range(1, 101))


async def test_a_collector_that_is_away_is_asked_with_one_message(tmp_path: Path, collector: Collector) -> None:
    collector.deaf = True
    async with running(tmp_path / "o.db", collector) as outbox:
        outbox.submit([draft(f"r-{number}") for number in range(500)])
        assert collector.forwarder is not None
        await until(lambda: collector.forwarder._sending.limit == 1)  # type: ignore[union-attr]
        sent = len(collector.messages)
        await asyncio.sleep(0.35)
        assert len(collector.messages) - sent <= 8
        collector.deaf = False
        await until(lambda: collector.through == 500)


async def test_a_collector_restored_from_a_backup_gets_a_tombstone_for_what_is_gone(
    tmp_path: Path, collector: Collector
) -> None:
    async with running(tmp_path / "o.db", collector) as outbox:
        outbox.submit([draft(f"r-{number}") for number in range(10)])
        await until(lambda: outbox.freed == 10)
        collector.through = 4
        outbox.submit([draft("behind")])
        await until(lambda: collector.through == 11)
    hole = next(arrival for arrival in collector.stored if arrival.kind is Kind.HOLE)
    assert (hole.first, hole.seq, hole.reason) == (5, 10, "freed")


DAMAGED = {
    "no JSON": b"{{",
    "deeper than any decoder goes": b"[" * 5_000 + b"]" * 5_000,
    "no object": b"3",
    "nothing in it": b"{}",
    "no number": b'{"data":{"node":"%s","stream":"%s"}}' % (NODE.encode(), b"5" * 32),
    "another stream": encode_result(draft("r"), StreamId("6" * 32), 3),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
async def test_a_damaged_event_does_not_block_the_stream(tmp_path: Path, collector: Collector, damaged: bytes) -> None:
    collector.connected = False
    async with running(tmp_path / "o.db", collector) as outbox:
        outbox.submit([draft(f"r-{number}") for number in range(5)])
        await until(lambda: outbox.last_seq == 5)
        with sqlite3.connect(tmp_path / "o.db") as damage:
            damage.execute("UPDATE records SET body = ? WHERE seq = 3", [damaged])
        damage.close()
        original = collector.publish
        assert collector.forwarder is not None

        def refuse_damaged(topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
            with suppress(ValueError):
                streams = {arrival.stream for arrival in read_message(payload, NODE)}
                return streams != {outbox.stream} or original(topic, payload, qos=qos, retain=retain)
            return True

        collector.forwarder._publish = refuse_damaged
        collector.connected = True
        await until(lambda: collector.through == 5)
    assert [(arrival.seq, arrival.reason) for arrival in collector.stored if arrival.reason] == [(3, "unreadable")]


async def test_what_waited_since_before_a_restart_is_late(tmp_path: Path, collector: Collector) -> None:
    collector.connected = False
    async with running(tmp_path / "o.db", collector) as outbox:
        outbox.submit([draft("before")])
        await until(lambda: outbox.last_seq == 1)
    collector.connected = True
    async with running(tmp_path / "o.db", collector) as outbox:
        outbox.submit([draft("after")])
        await until(lambda: collector.through == 2)
    assert [b'"late":true' in arrival.event for arrival in collector.stored] == [True, False]


@pytest.mark.parametrize("connected", [True, False])
async def test_what_may_not_leave_becomes_a_tombstone_and_holds_nothing_up(
    tmp_path: Path, collector: Collector, connected: bool
) -> None:
    """One by one while the node keeps up, and in the middle of the batches of a backlog."""
    collector.connected = connected
    async with running(tmp_path / "o.db", collector) as outbox:
        for number in range(1, 101):
            outbox.submit([draft("x" * 5000 if number in (30, 31, 77) else f"r-{number}")])
        await until(lambda: outbox.last_seq == 100)
        collector.connected = True
        await until(lambda: collector.through == 100)
    buried = {arrival.seq for arrival in collector.stored if arrival.kind is Kind.HOLE}
    assert buried == {30, 31, 77}
    assert all(b'"reason":"egress"' in arrival.event for arrival in collector.stored if arrival.seq in buried)
    assert len(collector.stored) == 100
    assert not any(b"xxxx" in arrival.event for arrival in collector.stored)
