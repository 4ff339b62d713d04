"""The deny-list: principals that are refused, remembered in this process.

It is asked for every call and every message, so it is kept in memory: set at once where this process revokes, read
again from the database every few seconds because other processes revoke too.
"""

import asyncio
import logging
from collections.abc import Callable

from coordinator.errors import Unreachable
from coordinator.fleet.store import Store

EVERY_S = 2.0

log = logging.getLogger(__name__)


class Revocations:
    """Whom to refuse. `is_revoked` and `add` may be called from any thread.

    Args:
        store: where the deny-list is kept.
        on_changed: called on the event loop when others are refused than before.
    """

    def __init__(self, store: Store, on_changed: Callable[[], None]) -> None:
        self._store = store
        self._on_changed = on_changed
        self._refused: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def refused(self) -> frozenset[str]:
        """The common names of all principals that are refused."""
        return self._refused

    def is_revoked(self, principal: str) -> bool:
        """Whether to refuse a principal, by its common name."""
        return principal in self._refused

    def add(self, principal: str) -> None:
        """It was revoked just now, in a transaction that has committed."""
        self._refused |= {principal}
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_changed)

    def load(self) -> bool:
        """Read the deny-list; whether it is another one.

        Raises:
            Unreachable: the database does not answer.
        """
        with self._store.read() as tx:
            read = frozenset(revocation.principal for revocation in tx.revoked.all())
        before, self._refused = self._refused, read
        return read != before

    async def run(self) -> None:
        """Read it again every few seconds, until cancelled. While the database is away the last one holds."""
        self._loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                changed = await asyncio.to_thread(self.load)
            except Unreachable as error:
                log.warning("%s: the deny-list may be out of date", error)
            else:
                if changed:
                    self._on_changed()
