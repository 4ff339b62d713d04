"""The collector: takes durable results from the broker, commits them once and in order, acknowledges after the commit.

    collector = Collector(store, broker.publish, topics, signing_key, hub)
    broker.subscribe(topics.from_all_nodes(Kind.DURABLE), 1, collector.receive)
    collector.start()

The broker's thread only queues; one thread decodes and commits, many messages in one transaction. `sequence` decides
what is taken, `records` what is no result at all. After the commit each stream that was heard of gets one signed
acknowledgement, whether it moved or not: it tells a sender that skipped or repeats where to go on.

Nothing here is needed after a crash: what was queued and not committed was not acknowledged, and comes again. A
database that refuses is therefore answered by silence. What nobody foresaw is looked for in one message: the group is
tried again message by message, and the guilty one is unreadable, so that it stops its own stream and no other.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.errors import NearfieldError
from coordinator.results.records import Arrival, Unreadable, read_message
from coordinator.results.tail import TailHub
from protos.envelope import ACKED, seal
from protos.identity import NodeId, StreamId
from protos.moments import rfc3339
from protos.reported import Acked
from protos.topics import DELIVERY, MAX_PAYLOAD, Kind, Topics

MAX_QUEUED_BYTES = 64 * 1024 * 1024
"""Messages in memory; beyond it new ones are left to come again."""
GROUP_BYTES = 4 * 1024 * 1024
"""Messages in one transaction."""
PAUSE_S = 1.0
"""After a database has refused, or after what nobody foresaw."""
TEND_S = 600.0
"""Between two looks at the retention."""
LATE_AFTER_S = 5.0
"""A message that waited so long here, for a database that did not answer, is not news any more."""
ALARM_S = 60.0
MAX_ALARMS = 10_000

log = logging.getLogger(__name__)


class Alarm(StrEnum):
    """What a person should look at."""

    CONFLICT = "stream_conflict"
    FOREIGN = "foreign_stream"
    UNREADABLE = "unreadable_message"


@dataclass
class Outcome:
    """What a commit did with one stream. `refused` streams are not acknowledged."""

    node: NodeId
    stream: StreamId
    through: int
    stored: list[Arrival] = field(default_factory=list)
    holes: int = 0
    duplicates: int = 0
    beyond_gap: int = 0
    conflict: int | None = None
    refused: bool = False
    owner: NodeId | None = None
    """of a refused stream: whose it is"""


class Message(NamedTuple):
    """What came on a node's durable topic; `at` is the collector's clock."""

    node: NodeId
    payload: bytes
    at: float


class ResultStore(Protocol):
    """What the collector needs of a results database."""

    def commit(self, streams: Mapping[StreamId, Sequence[Arrival]], now: datetime) -> list[Outcome]:
        """Take what continues each stream, all in one transaction, with the new `through`."""

    def record_alarm(self, alarm: Alarm, node: NodeId, stream: str, detail: str, now: datetime) -> None:
        """Note an alarm; the same one again is counted."""

    def hand_over(self, stream: StreamId, node: NodeId) -> None:
        """A stream is this node's from now on."""

    def drop_expired(self, now: datetime) -> list[str]:
        """Drop the partitions that are past their retention; their names."""


class StoreFailed(NearfieldError):
    """The database refused; nothing was committed."""


class Publish(Protocol):
    """The link's `publish`."""

    def __call__(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool: ...


class Collector:
    """`receive` belongs to the broker's thread, `start` and `stop` to whoever composes."""

    def __init__(
        self,
        store: ResultStore,
        publish: Publish,
        topics: Topics,
        key: Ed25519PrivateKey,
        hub: TailHub,
        *,
        relay: Callable[[Sequence[Arrival]], None] = lambda _: None,
        admits: Callable[[NodeId], bool] = lambda _: True,
        follows: Callable[[NodeId, NodeId], bool] = lambda _new, _old: False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.counts: Counter[str] = Counter()
        """since the start: results, dropped, duplicates, beyond_gap, unreadable, shed, failed"""
        self._store, self._publish, self._topics, self._key, self._hub = store, publish, topics, key, hub
        self._relay, self._admits, self._follows, self._now = relay, admits, follows, now
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._condition = threading.Condition()
        self._stopping = threading.Event()
        self._tended_at = float("-inf")
        self._alarmed: dict[tuple[Alarm, NodeId, str], float] = {}
        self._thread = threading.Thread(target=self._work, name="collector", daemon=True)

    def receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """Queue a message of a durable topic. Never blocks; what there is no room for is sent again by its node."""
        parsed = self._topics.parse(topic)
        if parsed is None or parsed.kind is not Kind.DURABLE or retained or len(payload) > MAX_PAYLOAD:
            self.counts["unreadable"] += 1
            return
        with self._condition:
            if self._queued_bytes + len(payload) > MAX_QUEUED_BYTES:
                self.counts["shed"] += 1
                return
            self._queue.append(Message(parsed.node, payload, time.monotonic()))
            self._queued_bytes += len(payload)
            self._condition.notify()

    def start(self) -> None:
        """Start the thread that commits."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the commit in work and stop; what is queued comes again. Idempotent."""
        self._stopping.set()
        with self._condition:
            self._condition.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            messages = self._next_group()
            try:
                self._collect_or_part(messages)
                self._tend()
            except NearfieldError as error:
                log.error("results cannot be stored, nodes will send them again: %s", error)  # noqa: TRY400 (one line)
                self._stopping.wait(PAUSE_S)
            except Exception:  # without this thread nothing is stored any more, and nobody sees why
                log.exception("the collector failed and goes on")
                self._count_failure()

    def _count_failure(self) -> None:
        self.counts["failed"] += 1
        self._stopping.wait(PAUSE_S)

    def _next_group(self) -> list[Message]:
        """What has come since the last commit, within the bound of one transaction."""
        group: list[Message] = []
        size = 0
        with self._condition:
            self._condition.wait_for(lambda: self._queue or self._stopping.is_set(), timeout=TEND_S)
            while self._queue and size < GROUP_BYTES:
                group.append(self._queue.popleft())
                size += len(group[-1].payload)
            self._queued_bytes -= size
        return group

    def _collect_or_part(self, messages: Sequence[Message]) -> None:
        """Collect a group; where that fails on something in it, each message alone."""
        try:
            self._collect(messages)
        except NearfieldError:
            raise
        except Exception:  # whatever it is, it is in one of the messages or it comes again below
            log.exception("%d messages cannot be collected together: trying each alone", len(messages))
            self._count_failure()
            for message in messages:
                if not self._stopping.is_set():
                    self._collect_alone(message)

    def _collect_alone(self, message: Message) -> None:
        try:
            self._collect([message])
        except NearfieldError:
            raise
        except Exception as error:  # noqa: BLE001 (logged whole with its group; here it is one message's)
            self.counts["unreadable"] += 1
            self._raise_alarm(Alarm.UNREADABLE, message.node, "", f"a message that fails: {type(error).__name__}")

    def _collect(self, messages: Sequence[Message]) -> None:
        streams: dict[StreamId, list[Arrival]] = {}
        for message in messages:
            for arrival in self._read(message):
                streams.setdefault(arrival.stream, []).append(arrival)
        if not streams:
            return
        outcomes = self._store.commit(streams, self._now())
        for outcome in outcomes:
            self._conclude(outcome)
        stored = [result for outcome in outcomes for result in outcome.stored]
        self._relay(stored)
        self._hub.publish(stored)

    def _read(self, message: Message) -> Iterable[Arrival]:
        if not self._admits(message.node):
            return ()
        try:
            late = time.monotonic() - message.at > LATE_AFTER_S
            return read_message(message.payload, message.node, late=late)
        except Unreadable as error:
            self.counts["unreadable"] += 1
            self._raise_alarm(Alarm.UNREADABLE, message.node, "", str(error))
            return ()

    def _conclude(self, outcome: Outcome) -> None:
        """Count, raise alarms and acknowledge; after the commit."""
        self.counts["results"] += len(outcome.stored)
        self.counts["dropped"] += outcome.holes
        self.counts["duplicates"] += outcome.duplicates
        self.counts["beyond_gap"] += outcome.beyond_gap
        if outcome.owner is not None and self._follows(outcome.node, outcome.owner):
            self._store.hand_over(outcome.stream, outcome.node)  # what came is sent again: it was not acknowledged
            return
        if outcome.refused:
            self._raise_alarm(Alarm.FOREIGN, outcome.node, outcome.stream, "the stream belongs to another node")
            return
        if outcome.conflict is not None:
            detail = f"other content under number {outcome.conflict}: is the node's disk a copy of another's?"
            self._raise_alarm(Alarm.CONFLICT, outcome.node, outcome.stream, detail)
        acked = Acked(node=outcome.node, stream=outcome.stream, through=outcome.through, at=rfc3339(self._now()))
        delivery = DELIVERY[Kind.ACKED]
        topic = self._topics.of_node(outcome.node, Kind.ACKED)
        sealed = seal(ACKED, msgspec.json.encode(acked), self._key)
        self._publish(topic, sealed, qos=delivery.qos, retain=delivery.retain)

    def _raise_alarm(self, alarm: Alarm, node: NodeId, stream: str, detail: str) -> None:
        """Log and record; the same one at most once a minute, so that a broken node cannot fill log and disk."""
        key, now = (alarm, node, stream), time.monotonic()
        if now - self._alarmed.get(key, float("-inf")) < ALARM_S:
            return
        if len(self._alarmed) >= MAX_ALARMS:
            self._alarmed.clear()
        self._alarmed[key] = now
        log.warning("%s: node %s, stream %s: %s", alarm, node, stream or "unknown", detail)
        self._store.record_alarm(alarm, node, stream, detail, self._now())

    def _tend(self) -> None:
        if time.monotonic() - self._tended_at < TEND_S:
            return
        self._tended_at = time.monotonic()
        for partition in self._store.drop_expired(self._now()):
            log.info("results of partition %s are past their retention: dropped", partition)
