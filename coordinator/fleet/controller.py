"""The loop between the database and the broker. Level-triggered: messages and calls only wake it.

What nodes say goes into the database (`reports`); the newest desired document of a node is published where the node
does not hold it; a node's live availability is said in its place when it went without a word; retained topics that
nobody writes any more are cleared. What could not be published is tried again, and everything is compared anew from
time to time: a lost or repeated message costs time, nothing else.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import msgspec

from coordinator.errors import BadInput, Unreachable
from coordinator.fleet.comparison import Comparison
from coordinator.fleet.presence import Presence
from coordinator.fleet.reports import Due, ReportService
from coordinator.fleet.retained import is_filter
from protos.identity import NodeId
from protos.metrics import Metrics
from protos.reported import Hello, Reported, Status
from protos.topics import Kind, Topics

COMPARE_EVERY_S = 60.0
RETRY_AFTER_S = 1.0
SETTLE_S = 5.0
"""After a connect the broker's retained messages come first: a node that came back meanwhile is not said to be gone."""
MAX_WAITING = 10_000
MESSAGES_A_TURN = 100
"""So many are taken in before documents go out again: talkative nodes cannot keep the others waiting."""
SUBSCRIBED = (Kind.STATUS, Kind.HELLO, Kind.REPORTED, Kind.METRICS)

log = logging.getLogger(__name__)

Message = tuple[str, bytes]
"""topic and payload"""


class Publisher(Protocol):
    """The way to the broker."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over; False where that is not possible now. Never blocks."""

    def sweep(self, topic_filter: str, spared: Callable[[], Collection[str]]) -> bool:
        """Begin to clear what is retained on all topics that match, but those in use by then; False as above."""


class Controller:
    """See the module. `on_message` and `wake` may be called from any thread, the rest on the event loop."""

    def __init__(
        self,
        comparison: Comparison,
        reports: ReportService,
        publisher: Publisher,
        sign: Callable[[bytes], bytes],
        topics: Topics,
        on_said: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_said = on_said
        """told that a node's hello or report is in the database; on the event loop"""
        self._comparison = comparison
        self._reports = reports
        self._publisher = publisher
        self._sign = sign
        self._topics = topics
        self._messages: deque[Message] = deque()
        self._documents: set[NodeId] = set()
        """whose desired documents are to be published"""
        self._availability: set[NodeId] = set()
        """whose availability is to be said"""
        self._uncleared = False
        self._woken = asyncio.Event()
        self._next_comparison = 0.0
        self._restate_at = float("inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dropped = 0
        """messages that came faster than they could be taken in"""

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: ARG002 - a cache says the same
        """A message of a node. An empty one is a topic being cleared."""
        if not payload:
            return
        if len(self._messages) >= MAX_WAITING:
            self.dropped += 1
            return
        self._messages.append((topic, payload))
        self._on_loop(self._woken.set)

    def on_connected(self) -> None:
        """The broker may have lost what it retained: nodes that are there repair that, this does it for the others."""
        self._restate_at = asyncio.get_running_loop().time() + SETTLE_S
        self._woken.set()

    def wake(self, nodes: Collection[NodeId] = ()) -> None:
        """The documents of these nodes changed, or topics are to be cleared."""
        self._on_loop(self._note, Due(documents=tuple(nodes)))
        self._on_loop(self._woken.set)

    def compare(self) -> None:
        """What all documents say may have changed: compare every node's now."""
        self._on_loop(self._compare_now)

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            try:
                await self._turn(self._loop.time())
            except Unreachable as error:
                log.warning("%s: trying again", error)
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                await self._sleep(self._pause(self._loop.time()))

    def _pause(self, now: float) -> float:
        if self._messages:
            return 0.0
        if self._documents or self._availability or self._uncleared:
            return RETRY_AFTER_S
        return max(0.0, min(self._next_comparison, self._restate_at) - now)

    async def _turn(self, now: float) -> None:
        for _ in range(min(len(self._messages), MESSAGES_A_TURN)):
            self._note(await asyncio.to_thread(self._take, *self._messages[0]))
            self._tell_of(self._messages.popleft()[0])  # not before it is in the database
        if now >= self._next_comparison:
            self._note(Due(documents=await asyncio.to_thread(self._comparison.outdated)))
            self._next_comparison = now + COMPARE_EVERY_S
        if now >= self._restate_at:
            self._note(Due(availability=await asyncio.to_thread(self._comparison.absent)))
            self._restate_at = float("inf")
        await self._publish(self._documents, self._signed_documents)
        await self._publish(self._availability, self._said_presence)
        await self._clear_topics()

    def _tell_of(self, topic: str) -> None:
        parsed = self._topics.parse(topic)
        if parsed is not None and parsed.kind in (Kind.HELLO, Kind.REPORTED):
            self._on_said()

    def _take(self, topic: str, payload: bytes) -> Due:
        """Store what a node says; what is due now."""
        parsed = self._topics.parse(topic)
        if parsed is None:
            return Due()
        try:
            match parsed.kind:
                case Kind.STATUS:
                    return self._reports.status(parsed.node, msgspec.json.decode(payload, type=Status))
                case Kind.HELLO:
                    return self._reports.hello(parsed.node, msgspec.json.decode(payload, type=Hello))
                case Kind.REPORTED:
                    return self._reports.reported(parsed.node, msgspec.json.decode(payload, type=Reported))
                case Kind.METRICS:
                    return self._reports.metrics(parsed.node, msgspec.json.decode(payload, type=Metrics))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadInput) as error:
            log.warning("a message on %s was ignored: %.200s", topic, error)
        return Due()

    async def _publish(
        self, due: set[NodeId], messages_of: Callable[[Collection[NodeId]], Mapping[NodeId, Message]]
    ) -> None:
        """Publish a retained message for each node; what cannot go now stays due."""
        nodes = frozenset(due)
        due.clear()  # before reading: what changes from now on is due again
        try:
            messages = await asyncio.to_thread(messages_of, nodes) if nodes else {}
        except Unreachable:
            due.update(nodes)
            raise
        due.update(node for node, message in messages.items() if not self._retain(*message))

    def _signed_documents(self, nodes: Collection[NodeId]) -> dict[NodeId, Message]:
        documents = self._comparison.documents(nodes)
        return {
            node: (self._topics.of_node(node, Kind.DESIRED), self._sign(payload)) for node, payload in documents.items()
        }

    def _said_presence(self, nodes: Collection[NodeId]) -> dict[NodeId, Message]:
        presence = self._comparison.presence(nodes)
        return {
            node: (topic, state.encode()) for node, (topic, state) in presence.items() if state is not Presence.UNKNOWN
        }

    async def _clear_topics(self) -> None:
        pending = await asyncio.to_thread(self._comparison.pending_topics)
        cleared = [topic for topic in pending if self._cleared(topic)]
        self._uncleared = len(cleared) < len(pending)
        if cleared:
            await asyncio.to_thread(self._comparison.cleared, cleared)

    def _cleared(self, topic: str) -> bool:
        return self._publisher.sweep(topic, self._comparison.in_use) if is_filter(topic) else self._retain(topic, b"")

    def _retain(self, topic: str, payload: bytes) -> bool:
        return self._publisher.publish(topic, payload, qos=1, retain=True)

    def _note(self, due: Due) -> None:
        self._documents.update(due.documents)
        self._availability.update(due.availability)

    def _compare_now(self) -> None:
        self._next_comparison = 0.0
        self._woken.set()

    def _on_loop(self, callback: Callable[..., None], *arguments: Due) -> None:
        """Call it on the event loop, from any thread. Before `run` nothing is noted: that begins by comparing all."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(callback, *arguments)

    async def _sleep(self, seconds: float) -> None:
        # not wait_for: in Python 3.11 it swallows a cancellation that comes together with the wake-up
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
