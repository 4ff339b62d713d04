"""Clears what somebody has left retained below a filter, but what is in use at that moment.

What is in use is asked after a message was found, not when the sweep begins: meanwhile a node may have been enrolled
under the name that is swept, and what it retains is its own.
"""

import asyncio
from collections.abc import Callable, Collection

from coordinator.errors import Unreachable

GATHER_S = 0.2
"""So long messages are gathered: one look at the database for all of them."""

Spared = Callable[[], Collection[str]]
"""The topics to leave alone, as it is now; called on a thread of its own. May raise Unreachable."""


class Sweep:
    """One sweep.

    Args:
        clear: forgets what is retained on a topic.
        spared: what is in use.
        loop: the event loop.
    """

    def __init__(self, clear: Callable[[str], object], spared: Spared, loop: asyncio.AbstractEventLoop) -> None:
        self._clear = clear
        self._spared = spared
        self._loop = loop
        self._found: set[str] = set()
        self._clearing: asyncio.Task[None] | None = None

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        """The broker hands over what it retains. Thread-safe."""
        if retained and payload:
            self._loop.call_soon_threadsafe(self._note, topic)

    def _note(self, topic: str) -> None:
        self._found.add(topic)
        if self._clearing is None:
            self._clearing = self._loop.create_task(self._clear_found())

    async def _clear_found(self) -> None:
        while self._found:
            await asyncio.sleep(GATHER_S)
            topics = self._found.copy()
            try:
                spared = await asyncio.to_thread(self._spared)
            except Unreachable:  # later, then
                continue
            self._found -= topics
            for topic in topics.difference(spared):
                self._clear(topic)
        self._clearing = None
