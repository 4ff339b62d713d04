"""The collector between a broker and a store that both do as the test says."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.errors import Unreachable
from coordinator.results import ingest
from coordinator.results.ingest import Alarm, Collector, Outcome, StoreFailed
from coordinator.results.records import Arrival
from coordinator.results.sequence import take
from coordinator.results.tail import TailHub
from protos.envelope import ACKED, open_sealed, public_bytes
from protos.identity import NodeId, StreamId
from protos.reported import Acked
from protos.topics import MAX_PAYLOAD, Topics
from tests.durable.node import DURABLE, NODE
from tests.unit.results.arrivals import STREAM, message, result

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)


class World:
    """A store in memory, and what was published."""

    def __init__(self) -> None:
        self.through: dict[StreamId, int] = {}
        self.failing = False
        self.stumbles_over = b""
        self.alarms: list[Alarm] = []
        self.acked: list[Acked] = []
        self.heard = threading.Condition()

    def commit(self, streams: Mapping[StreamId, Sequence[Arrival]], now: datetime) -> list[Outcome]:
        if self.failing:
            raise StoreFailed("disk full")
        events = [arrival.event for arrivals in streams.values() for arrival in arrivals]
        if self.stumbles_over and any(self.stumbles_over in event for event in events):
            raise OverflowError("too large for the column")
        outcomes = []
        for stream, arrivals in streams.items():
            taken = take(self.through.get(stream, 0), arrivals)
            self.through[stream] = taken.through
            outcomes.append(Outcome(NODE, stream, taken.through, taken.results, 0, len(taken.duplicates)))
        return outcomes

    def record_alarm(self, alarm: Alarm, node: NodeId, stream: str, detail: str, now: datetime) -> None:
        self.alarms.append(alarm)

    def hand_over(self, stream: StreamId, node: NodeId) -> None:
        self.handed_over = (stream, node)

    def drop_expired(self, now: datetime) -> list[str]:
        return []

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        assert (topic, qos, retain) == (f"edge/v1/nodes/{NODE}/acked", 1, True)
        opened = open_sealed(payload, ACKED, frozenset({public_bytes(KEY)}))
        with self.heard:
            self.acked.append(msgspec.json.decode(opened, type=Acked))
            self.heard.notify_all()
        return True

    def await_that(self, condition: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(condition, timeout=10)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def collector(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(ingest, "PAUSE_S", 0.01)
    made = Collector(world, world.publish, Topics(), KEY, TailHub(), now=lambda: NOW)
    yield made
    made.stop()


def test_what_was_queued_together_is_acknowledged_once(world: World, collector: Collector) -> None:
    for seq in range(1, 101):
        collector.receive(DURABLE, message(result(seq)), False)
    collector.start()
    world.await_that(lambda: bool(world.acked) and world.acked[-1].through == 100)
    assert world.acked == [Acked(node=NODE, stream=STREAM, through=100, at="2026-05-01T10:00:00.000Z")]
    assert collector.counts["results"] == 100


def test_a_repeated_message_is_acknowledged_again_and_stored_once(world: World, collector: Collector) -> None:
    collector.start()
    for _ in range(2):
        heard = len(world.acked)
        collector.receive(DURABLE, message(result(1), result(2)), False)
        world.await_that(lambda heard=heard: len(world.acked) > heard)  # type: ignore[misc]
    assert [acked.through for acked in world.acked] == [2, 2]
    assert (collector.counts["results"], collector.counts["duplicates"]) == (2, 2)


def test_a_store_that_refuses_is_answered_by_silence_and_then_goes_on(world: World, collector: Collector) -> None:
    world.failing = True
    collector.receive(DURABLE, message(result(1)), False)
    collector.start()
    while collector._queue:
        pass
    world.failing = False
    collector.receive(DURABLE, message(result(1)), False)
    world.await_that(lambda: bool(world.acked))
    assert [acked.through for acked in world.acked] == [1]


def test_a_message_that_the_store_stumbles_over_stops_its_own_stream_only(
    world: World, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    world.stumbles_over = b"poison"
    other = StreamId("7" * 32)
    for _ in range(2):
        collector.receive(DURABLE, message(result(1, label="poison")), False)
    collector.receive(DURABLE, message(result(1, stream=other)), False)
    collector.start()
    world.await_that(lambda: bool(world.acked))
    assert world.acked == [Acked(node=NODE, stream=other, through=1, at="2026-05-01T10:00:00.000Z")]
    assert world.alarms == [Alarm.UNREADABLE]
    assert (collector.counts["failed"], collector.counts["unreadable"]) == (1, 2)
    assert any(record.exc_info for record in caplog.records)


def test_the_collector_survives_what_nobody_foresaw(
    world: World, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()

    def stumble(_: datetime) -> list[str]:
        broken.set()
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(world, "drop_expired", stumble)
    collector.receive(DURABLE, message(result(1)), False)
    collector.start()
    assert broken.wait(10)
    collector.receive(DURABLE, message(result(2)), False)
    world.await_that(lambda: bool(world.acked) and world.acked[-1].through == 2)
    assert collector.counts["failed"] == 1


def test_a_control_database_that_is_away_is_answered_by_silence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "PAUSE_S", 0.01)
    asked = threading.Event()

    def admits(_: NodeId) -> bool:
        if asked.is_set():
            return True
        asked.set()
        raise Unreachable("database: no answer")

    collector = Collector(world, world.publish, Topics(), KEY, TailHub(), admits=admits)
    collector.start()
    collector.receive(DURABLE, message(result(1)), False)
    assert asked.wait(10)
    collector.receive(DURABLE, message(result(1)), False)
    world.await_that(lambda: bool(world.acked))
    collector.stop()
    assert (world.alarms, collector.counts["failed"]) == ([], 0)


def test_garbage_is_one_alarm_and_hurts_nobody(world: World, collector: Collector) -> None:
    for _ in range(50):
        collector.receive(DURABLE, b"garbage", False)
    collector.receive(DURABLE, message(result(1)), False)
    collector.start()
    world.await_that(lambda: bool(world.acked))
    assert world.alarms == [Alarm.UNREADABLE]
    assert collector.counts["unreadable"] == 50


def test_what_no_node_may_send_there_is_not_queued(collector: Collector) -> None:
    collector.receive(DURABLE, message(result(1)), True)
    collector.receive("edge/v1/nodes/x/durable", message(result(1)), False)
    collector.receive(DURABLE, b"[" + b" " * MAX_PAYLOAD + b"]", False)
    assert not collector._queue


def test_a_node_that_is_not_admitted_is_neither_stored_nor_answered(world: World) -> None:
    collector = Collector(world, world.publish, Topics(), KEY, TailHub(), admits=lambda node: node != NODE)
    collector.receive(DURABLE, message(result(1)), False)
    collector.start()
    while collector._queue:
        pass
    collector.stop()
    assert not world.through
    assert not world.acked


def test_memory_is_bounded_and_what_is_shed_is_counted(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MAX_QUEUED_BYTES", 10_000)
    for seq in range(1, 101):
        collector.receive(DURABLE, message(result(seq)), False)
    assert sum(len(waiting.payload) for waiting in collector._queue) <= 10_000
    assert collector.counts["shed"] == 100 - len(collector._queue)


def test_what_was_committed_is_relayed_once_and_late_where_it_waited_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    relayed: list[tuple[int, bool]] = []
    made = Collector(
        world,
        world.publish,
        Topics(),
        KEY,
        TailHub(),
        relay=lambda stored: relayed.extend((r.seq, r.late) for r in stored),
    )
    for _ in range(2):
        made.receive(DURABLE, message(result(1)), False)
    made.start()
    world.await_that(lambda: bool(world.acked))
    monkeypatch.setattr(ingest, "LATE_AFTER_S", -1.0)
    made.receive(DURABLE, message(result(2)), False)
    world.await_that(lambda: world.acked[-1].through == 2)
    made.stop()
    assert relayed == [(1, False), (2, True)]
