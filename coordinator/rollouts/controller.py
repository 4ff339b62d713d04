"""The loop that acts on rollouts: a round whenever there is news, when time alone changes something, and every few
seconds. Level-triggered: what wakes it is never more than a hint.

Several coordinator processes may run it on one database; the lease says who acts (`rounds.py`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from datetime import datetime

from coordinator.errors import NearfieldError
from coordinator.rollouts.rounds import Round, Rounds
from protos.identity import NodeId

EVERY_S = 2.0
"""Between two rounds at most: another process may have taken an order, or have ended."""
SETTLE_S = 0.1
"""Reports come in swarms: so long after the first one's wake-up a round takes all of them in."""
AGAIN_AFTER_S = 5.0
"""After a round that failed."""

log = logging.getLogger(__name__)


class RolloutController:
    """See the module. `wake` may be called from any thread, the rest on the event loop.

    Args:
        rounds: what a round does.
        now: the clock.
    """

    def __init__(self, rounds: Rounds, now: Callable[[], datetime]) -> None:
        self.on_issued: Callable[[Collection[NodeId]], None] = lambda _: None
        """told of nodes whose documents changed, once that is committed; on the event loop"""
        self._rounds = rounds
        self._now = now
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """There may be news: a report, an order, another node."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Until cancelled; then whoever is next may act at once."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._woken.clear()
                begun = self._loop.time()
                pause = await self._round()
                took = self._loop.time() - begun
                await self._sleep(pause)
                await asyncio.sleep(max(SETTLE_S, took))  # reports get at least as much of the database as rounds
        finally:
            await asyncio.shield(asyncio.to_thread(self._give_back))

    async def _round(self) -> float:
        """One round; how long to sleep at most after it, in seconds."""
        try:
            found = await asyncio.to_thread(self._rounds.once)
        except NearfieldError as error:
            log.warning("rollouts: %s: trying again", error)
            return AGAIN_AFTER_S
        except Exception:  # the boundary: nodes and people are served on, whatever a rollout runs into
            log.exception("a round of the rollouts failed: trying again")
            return AGAIN_AFTER_S
        if found.nodes:
            self.on_issued(found.nodes)
        return self._pause(found)

    def _pause(self, found: Round) -> float:
        if found.wake_at is None:
            return EVERY_S
        return min(EVERY_S, max(0.0, (found.wake_at - self._now()).total_seconds()))

    def _give_back(self) -> None:
        with contextlib.suppress(NearfieldError):  # the lease ends by itself
            self._rounds.give_back()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
