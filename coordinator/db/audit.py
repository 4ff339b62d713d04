"""Rows of the audit log."""

from datetime import datetime

import sqlalchemy as sa

from coordinator.audit.chain import Act, Entry, Head, chained, moment_text
from coordinator.db.tables import audit


class AuditRows:
    """`audit.log.AuditRows` on a connection. Writers follow one another, so the head stays the head."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.appended: list[Entry] = []
        """by this transaction"""

    def head(self) -> Head:
        """The last entry's number and hash."""
        query = sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return Head() if row is None else Head(row.seq, row.hash)

    def append(self, act: Act, at: datetime) -> None:
        """Add an entry behind the head."""
        entry = chained(self.head(), act, at)
        values = {column.name: getattr(entry, column.name) for column in audit.columns if column.name != "at"}
        self._connection.execute(sa.insert(audit).values(at=at, **values))
        self.appended.append(entry)

    def after(self, seq: int, limit: int) -> tuple[Entry, ...]:
        """The entries that follow a number, the oldest first."""
        query = sa.select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
        return tuple(_entry(row) for row in self._connection.execute(query))


def _entry(row: sa.Row[tuple[object, ...]]) -> Entry:
    return Entry(row.seq, moment_text(row.at), row.actor, row.action, row.subject, row.detail, row.previous, row.hash)
