"""The audit log as the coordinator writes and reads it. Acts of callers arrive by `acting`; this is for all others.

The head of the log goes to the log stream after every commit (logger `coordinator.audit`), so that whoever collects
logs elsewhere can tell if the database was changed or cut.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from coordinator.audit.chain import Act, Entry, Head

PAGE = 500

log = logging.getLogger("coordinator.audit")


class AuditRows(Protocol):
    """The rows of the log, inside a transaction."""

    def head(self) -> Head:
        """The last entry's number and hash."""

    def append(self, act: Act, at: datetime) -> None:
        """Add an entry behind the head."""

    def after(self, seq: int, limit: int) -> tuple[Entry, ...]:
        """The entries that follow a number, the oldest first."""


class Transaction(Protocol):
    """What the log sees of a transaction."""

    @property
    def audit(self) -> AuditRows:
        """The log."""


class Store(Protocol):
    """Where the log is kept."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes."""


class AuditLog:
    """Callable from any thread."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def record(self, act: Act) -> None:
        """Add an entry, in a transaction of its own."""
        with self._store.write() as tx:
            tx.audit.append(act, self._now())

    def head(self) -> Head:
        """The last entry's number and hash."""
        with self._store.read() as tx:
            return tx.audit.head()

    def entries(self, after: int, limit: int) -> Iterator[Entry]:
        """The entries behind a number, the oldest first, at most `limit` (0: all), page by page."""
        left = limit or None
        while left is None or left > 0:
            with self._store.read() as tx:
                page = tx.audit.after(after, PAGE if left is None else min(PAGE, left))
            yield from page
            if not page:
                return
            after = page[-1].seq
            left = None if left is None else left - len(page)


def say(entry: Entry) -> None:
    """Publish the head, once it is committed."""
    log.info("audit head %s: %s %s by %s", entry.head, entry.action, entry.subject, entry.actor)
