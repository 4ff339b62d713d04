"""Results as they are committed, to whoever watches. A slow watcher loses rows, counted; the collector never waits.

with hub.subscribe(Filter(site="store-12")) as subscription:
    async for batch in subscription: ...
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from coordinator.results.query import Filter
from coordinator.results.records import Arrival

MAX_WAITING = 10_000
"""Results that wait for one watcher."""


@dataclass(frozen=True)
class Batch:
    """Results in the order of their commits, and how many were left out just before them."""

    results: tuple[Arrival, ...]
    dropped: int

    @property
    def events(self) -> tuple[bytes, ...]:
        """As they came."""
        return tuple(result.event for result in self.results)


class Subscription:
    """One watcher. `offer` is called on the event loop; iterating ends with `close`."""

    def __init__(self, wanted: Filter, max_waiting: int = MAX_WAITING) -> None:
        self._wanted = wanted
        self._waiting: deque[Arrival] = deque()
        self._max_waiting = max_waiting
        self._dropped = 0
        self._closed = False
        self._changed = asyncio.Event()

    def offer(self, results: Sequence[Arrival]) -> None:
        """Take what the watcher wants; the oldest go where it does not keep up."""
        self._waiting.extend(self._wanted.select(results))
        while len(self._waiting) > self._max_waiting:
            self._waiting.popleft()
            self._dropped += 1
        self._changed.set()

    def close(self) -> None:
        """End the iteration after what waits."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._waiting or self._dropped:
                batch = Batch(tuple(self._waiting), self._dropped)
                self._waiting.clear()
                self._dropped = 0
                yield batch
            if self._closed and not self._waiting:
                return


class TailHub:
    """All watchers. `publish` may be called on any thread; the rest on the event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    @contextmanager
    def subscribe(self, wanted: Filter, max_waiting: int = MAX_WAITING) -> Iterator[Subscription]:
        """A subscription for the block."""
        subscription = Subscription(wanted, max_waiting)
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)

    def publish(self, results: Sequence[Arrival]) -> None:
        """Offer committed results to every watcher."""
        with self._lock:
            if results and self._subscriptions and self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._offer, results)

    def close(self) -> None:
        """End every iteration."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def _offer(self, results: Sequence[Arrival]) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.offer(results)
