"""Moves the outbox to the collector: reads what follows, hands it to the link, begins again when nothing comes back.

    forwarder = Forwarder(outbox, uplink.publish, node=node, topic=topics.of_node(node, Kind.DURABLE))
    task = asyncio.create_task(forwarder.run())
    forwarder.connected()          # on every new connection
    forwarder.acked(through)       # on every acknowledgement that `accept_acked` has accepted

What may be sent when is `sending`'s decision. While the node keeps up, each result is its own message at once; when
more than `BACKLOG` wait to be sent they go in batches as large as a message may be. Live results don't pass here.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from edge_node.outbox.events import encode_tombstone, is_readable, marked_late, readdressed
from edge_node.outbox.policy import Hole, Reason, uncovered
from edge_node.outbox.queue import Outbox
from edge_node.outbox.records import Record
from edge_node.outbox.sending import Sending
from protos.identity import NodeId
from protos.result import Dropped
from protos.topics import MAX_PAYLOAD

BACKLOG = 64
"""Results not yet sent; above it they travel in batches."""
LATE_AFTER_S = 5.0
RETRY_S = 0.05
LONGEST_RETRY_S = 1.0
"""How soon a link that took nothing is asked again: doubled each time, up to the longest."""
DOUBTED = 3
"""After so many timeouts in a row what is sent is looked at: a damaged event would be refused for ever."""
BURST = 32
"""Messages handed over before other tasks have their turn; single ones are read together."""

HOLE_BYTES = 512
"""No less than a tombstone takes."""

_ROOM = MAX_PAYLOAD - 2048
"""For the events of a batch: brackets, commas, and a tombstone that may have to go first."""


class Publish(Protocol):
    """The link's `publish`: false when not connected or full; never blocks."""

    def __call__(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool: ...


class Forwarder:
    """The sender of one outbox. Everything runs on the event loop."""

    def __init__(
        self,
        outbox: Outbox,
        publish: Publish,
        *,
        node: NodeId,
        topic: str,
        former: Collection[NodeId] = (),
        may_leave: Callable[[bytes], bool] = lambda _: True,
        backlog: int = BACKLOG,
        monotonic: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._outbox, self._publish, self._node, self._topic = outbox, publish, node, topic
        self._former = former
        self._may_leave = may_leave
        self._backlog, self._monotonic, self._wall_ns = backlog, monotonic, wall_ns
        self._stream = outbox.stream
        self._sending = Sending(outbox.freed)
        self._refusals = 0

    @property
    def through(self) -> int:
        """Everything through this number is acknowledged."""
        return self._sending.acked

    def connected(self) -> None:
        """A new connection: whatever was under way goes again."""
        self._sending.on_connected()
        self._outbox.changed.set()

    def acked(self, through: int) -> None:
        """The collector has committed everything through this number of the outbox's stream."""
        self._outbox.acked(self._sending.on_acked(through, self._monotonic()))
        self._outbox.changed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._outbox.changed.clear()
            wait_s = await self._send_what_may_go()
            # not wait_for: until Python 3.12 it loses a cancellation that comes together with the event
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._outbox.changed.wait()

    async def _send_what_may_go(self) -> float | None:
        """Seconds after which to look again even if nothing happens."""
        if self._outbox.stream != self._stream:
            self._stream, self._sending = self._outbox.stream, Sending(self._outbox.freed)
        self._sending.on_time(self._monotonic())
        while self._sending.has_room() and (messages := self._next()):
            if not self._send_each(messages):
                self._refusals += 1
                return float(min(RETRY_S * 2 ** min(self._refusals, 8), LONGEST_RETRY_S))
            self._refusals = 0
            await asyncio.sleep(0)
        return self._sending.wait_s(self._monotonic())

    def _next(self) -> list[list[Record]]:
        """What goes into each of the next messages; read together, because a look into the file costs more than one."""
        sent = self._sending.sent
        if sent >= self._outbox.last_seq:
            return []
        if self._outbox.last_seq - sent <= self._backlog:
            return [[record] for record in self._outbox.read(sent, BURST, _ROOM)]
        records = self._outbox.read(sent, _ROOM, _ROOM)
        return [_fitting(records)] if records else []

    def _send_each(self, messages: Iterable[Sequence[Record]]) -> bool:
        """Send as many of them as have room; False where one was not taken."""
        return all(self._send(records) for records in messages if self._sending.has_room())

    def _send(self, records: Sequence[Record]) -> bool:
        lost = uncovered(self._sending.sent, [(record.first, record.seq) for record in records])
        before = [self._tombstone(hole) for hole in lost]
        message = _array([*before, *map(self._event, records)])
        if not self._publish(self._topic, message, qos=1, retain=False):
            if self._may_leave(message):
                return False
            message = _array([*before, *map(self._what_may_leave, records)])
            if not self._publish(self._topic, message, qos=1, retain=False):
                return False
        self._sending.on_sent(records[-1].seq, len(message), self._monotonic())
        return True

    def _what_may_leave(self, record: Record) -> bytes:
        """The event, or a tombstone in its place: what may not leave must not keep back what comes after it."""
        event = self._event(record)
        if self._may_leave(_array([event])):
            return event
        return self._tombstone(Hole(record.first, record.seq, Reason.EGRESS))

    def _event(self, record: Record) -> bytes:
        if record.reason is not None:
            return self._tombstone(Hole(record.first, record.seq, record.reason))
        doubted = self._sending.timeouts >= DOUBTED
        body = readdressed(record.body, self._former, self._node)
        if doubted and not is_readable(body, self._node, self._stream, record.seq):
            return self._tombstone(Hole(record.seq, record.seq, Reason.UNREADABLE))
        return marked_late(body) if self._outbox.is_late(record, LATE_AFTER_S) else body

    def _tombstone(self, hole: Hole) -> bytes:
        dropped = Dropped(
            node=self._node, stream=self._stream, first=hole.first, seq=hole.last, count=hole.count, reason=hole.reason
        )
        return encode_tombstone(dropped, self._topic, self._wall_ns())


def _array(events: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"


def _fitting(records: Sequence[Record]) -> list[Record]:
    """As many of the first records as a message holds, with what stands for holes and between the events."""
    room = _ROOM
    for number, record in enumerate(records):
        room -= (len(record.body) or HOLE_BYTES) + 1
        if room < 0 and number:
            return list(records[:number])
    return list(records)
