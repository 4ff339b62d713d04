"""Rows of retained topics to clear, and of nodes that were deleted."""

from collections.abc import Collection, Iterable
from datetime import datetime

import sqlalchemy as sa

from coordinator.db.portions import portions
from coordinator.db.tables import forgotten, stale_topics
from coordinator.db.upsert import upsert
from protos.identity import NodeId


class RetainedRows:
    """`fleet.store.Retained` on a connection. A topic stays here after it was cleared, until nobody can rewrite it."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, node: NodeId, topics: Iterable[str]) -> None:
        """These topics of a node must be cleared."""
        for topic in sorted(topics):
            upsert(self._connection, stale_topics, {"topic": topic, "node": node, "cleared": False})

    def keep(self, topics: Collection[str]) -> None:
        """These topics are in use again."""
        for some in portions(topics):
            self._connection.execute(sa.delete(stale_topics).where(stale_topics.c.topic.in_(some)))

    def pending(self) -> tuple[str, ...]:
        """The topics that are still to be cleared."""
        query = sa.select(stale_topics.c.topic).where(stale_topics.c.cleared.is_(False))
        return tuple(sorted(self._connection.execute(query).scalars()))

    def cleared(self, topics: Collection[str]) -> None:
        """These topics were cleared."""
        for some in portions(topics):
            self._set(stale_topics.c.topic.in_(some), cleared=True)

    def reopen(self, node: NodeId) -> None:
        """The node may have written to its topics again: all of them must be cleared once more."""
        self._set(stale_topics.c.node == node, cleared=False)

    def settle(self, node: NodeId) -> None:
        """The node runs its newest document: topics of it that were cleared need no further thought."""
        self._connection.execute(
            sa.delete(stale_topics).where(stale_topics.c.node == node, stale_topics.c.cleared.is_(True))
        )

    def forget(self, node: NodeId, at: datetime) -> None:
        """The node was deleted."""
        upsert(self._connection, forgotten, {"node": node, "deleted_at": at})

    def is_forgotten(self, node: NodeId) -> bool:
        """Whether the node was deleted."""
        query = sa.select(forgotten.c.node).where(forgotten.c.node == node)
        return self._connection.execute(query).scalar_one_or_none() is not None

    def _set(self, which: sa.ColumnElement[bool], *, cleared: bool) -> None:
        self._connection.execute(sa.update(stale_topics).where(which).values(cleared=cleared))
