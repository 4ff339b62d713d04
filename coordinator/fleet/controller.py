"""The loop between the database and the broker. Level-triggered: messages and calls only wake it.

What nodes say goes into the database (`reports`); the newest desired document of a node is published where the node
does not hold it; retained topics that nobody writes any more are cleared. What could not be published is tried again,
and everything is compared anew from time to time: a lost or repeated message costs time, nothing else.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from coordinator.errors import Unreachable
from coordinator.fleet.audit import Audit
from coordinator.fleet.reports import ReportService
from protos.identity import NodeId
from protos.reported import Hello, Reported, Status
from protos.topics import DELIVERY, Kind, Topics

AUDIT_EVERY_S = 60.0
RETRY_AFTER_S = 1.0
MAX_WAITING = 10_000
SUBSCRIBED = (Kind.STATUS, Kind.HELLO, Kind.REPORTED)

log = logging.getLogger(__name__)


class Publisher(Protocol):
    """The way to the broker."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over; False where that is not possible now. Never blocks."""


class Controller:
    """See the module. `on_message` and `wake` may be called from any thread, `run` on the event loop."""

    def __init__(
        self,
        audit: Audit,
        reports: ReportService,
        publisher: Publisher,
        sign: Callable[[bytes], bytes],
        topics: Topics,
    ) -> None:
        self._audit = audit
        self._reports = reports
        self._publisher = publisher
        self._sign = sign
        self._topics = topics
        self._messages: deque[tuple[str, bytes]] = deque()
        self._unpublished: set[NodeId] = set()
        self._woken = asyncio.Event()
        self._next_audit = 0.0
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
        self._wake()

    def wake(self, nodes: Collection[NodeId] = ()) -> None:
        """The documents of these nodes changed, or topics are to be cleared."""
        self._unpublished.update(nodes)
        self._wake()

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            try:
                await self._turn(self._loop.time())
            except Unreachable as error:
                log.warning("%s: trying again", error)
            in_order = not self._unpublished and self._next_audit > self._loop.time()
            await self._sleep(self._next_audit - self._loop.time() if in_order else RETRY_AFTER_S)

    async def _turn(self, now: float) -> None:
        while self._messages:
            topic, payload = self._messages[0]
            self._unpublished.update(await asyncio.to_thread(self._take, topic, payload))
            self._messages.popleft()
        if now >= self._next_audit:
            self._unpublished.update(await asyncio.to_thread(self._audit.outdated))
            self._next_audit = now + AUDIT_EVERY_S
        await self._publish_documents()
        await self._clear_topics()

    def _take(self, topic: str, payload: bytes) -> Collection[NodeId]:
        """Store what a node says; the nodes whose documents should be published."""
        parsed = self._topics.parse(topic)
        if parsed is None:
            return ()
        try:
            match parsed.kind:
                case Kind.STATUS:
                    return self._reports.status(parsed.node, msgspec.json.decode(payload, type=Status))
                case Kind.HELLO:
                    return self._reports.hello(parsed.node, msgspec.json.decode(payload, type=Hello))
                case Kind.REPORTED:
                    return self._reports.reported(parsed.node, msgspec.json.decode(payload, type=Reported))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("a message on %s was ignored: %s", topic, error)
        return ()

    async def _publish_documents(self) -> None:
        nodes = frozenset(self._unpublished)
        documents = await asyncio.to_thread(self._audit.documents, nodes) if nodes else {}
        delivery = DELIVERY[Kind.DESIRED]
        for node in nodes:
            topic, payload = self._topics.of_node(node, Kind.DESIRED), documents.get(node)
            if payload is None or self._publisher.publish(
                topic, self._sign(payload), qos=delivery.qos, retain=delivery.retain
            ):
                self._unpublished.discard(node)

    async def _clear_topics(self) -> None:
        pending = await asyncio.to_thread(self._audit.pending_topics)
        cleared = [topic for topic in pending if self._publisher.publish(topic, b"", qos=1, retain=True)]
        if cleared:
            await asyncio.to_thread(self._audit.cleared, cleared)

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    async def _sleep(self, seconds: float) -> None:
        # not wait_for: in Python 3.11 it swallows a cancellation that comes together with the wake-up
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
