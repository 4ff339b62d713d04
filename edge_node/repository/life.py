"""A process that is kept alive: started, and started again after its death, ever later where it goes on dying.

worker = Life(start)
await worker.begin()                # the first time: why it cannot be started is the caller's to hear
running = await worker.ensure()     # later: None where it is not time yet, see `retry_at`
worker.died("killed")
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from edge_node.errors import NearfieldError
from edge_node.repository.backoff import deaths_after, wait_s

T = TypeVar("T")

log = logging.getLogger(__name__)


class Life(Generic[T]):
    """The process `now`, None where there is none; it is started again at `retry_at`, of the clock."""

    def __init__(self, start: Callable[[], Awaitable[T]], clock: Callable[[], float] = time.monotonic) -> None:
        self.now: T | None = None
        self.retry_at = 0.0
        self._start = start
        self._clock = clock
        self._deaths = 0
        self._began = 0.0

    async def begin(self) -> None:
        """Start it.

        Raises:
            NearfieldError: it cannot be started.
        """
        self._began = self._clock()
        self.now = await self._start()

    async def ensure(self) -> T | None:
        """The running process; started where there is none and it is time."""
        if self.now is None and self._clock() >= self.retry_at:
            try:
                await self.begin()
            except NearfieldError as error:
                self.died(str(error))
        return self.now

    def died(self, reason: str) -> None:
        """It is gone."""
        self.now = None
        self._deaths = deaths_after(self._deaths, self._clock() - self._began)
        self.retry_at = self._clock() + wait_s(self._deaths)
        log.warning("%s; it is started again in %.1f s", reason, wait_s(self._deaths))
