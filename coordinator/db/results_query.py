"""Reads results: in pages, oldest first, over all partitions at once, in constant memory.

Partitions are days of arrival and a query asks for times of capture, so that any partition may hold an answer; the
index on time finds it at once or finds nothing. A page begins behind the last row of the one before: no transaction
stays open while a slow reader thinks.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from coordinator.db.engine import reading
from coordinator.db.results_tables import holes, partition_table, streams
from coordinator.results.partitions import partitions
from coordinator.results.query import Count, Filter, Query

PAGE = 1_000
NOT_DROPPED = "freed"
"""The reason of holes that no node made: results that were stored here before, and lost here."""

_Key = tuple[int, int]
"""time_us, id"""


class ResultsQuery:
    """The reading half of a results database. Every method may be called on any thread."""

    def __init__(self, engine: sa.Engine, page: int = PAGE) -> None:
        self._engine = engine
        self._page = page

    def batches(self, query: Query) -> Iterator[list[bytes]]:
        """Events of the answers, oldest first, a page at a time."""
        after = self._before_newest(query) if query.newest and query.limit else None
        left = query.limit or None
        while left is None or left > 0:
            page = self._page if left is None else min(self._page, left)
            rows = self._rows(query, after, page)
            if rows:
                yield [event for _, _, event in rows]
            if len(rows) < page:
                return
            after = (rows[-1][0], rows[-1][1])
            left = None if left is None else left - len(rows)

    def count(self, query: Query) -> Count:
        """How many results are stored within filter, since and until, and how many numbers stand for dropped ones.

        A dropped result is known by its node alone: site and node are looked at, pipeline, model and time are not.
        """
        with reading(self._engine) as connection:
            results = 0
            for table in _tables(connection):
                counted = sa.select(sa.func.count()).select_from(table).where(*_conditions(table, query))
                results += connection.execute(counted).scalar_one()
            dropped = connection.execute(_dropped(query.filter)).scalar_one()
        return Count(results, int(dropped or 0))

    def _rows(self, query: Query, after: _Key | None, page: int) -> list[tuple[int, int, bytes]]:
        with reading(self._engine) as connection:
            parts = [
                sa.select(table.c.time_us, table.c.id, table.c.event).where(
                    *_conditions(table, query), *_behind(table, after)
                )
                for table in _tables(connection)
            ]
            if not parts:
                return []
            merged = sa.union_all(*parts).order_by("time_us", "id").limit(page)
            return [(time_us, row, bytes(event)) for time_us, row, event in connection.execute(merged)]

    def _before_newest(self, query: Query) -> _Key | None:
        """The key just before the newest `limit` answers; None if there are no more than that."""
        with reading(self._engine) as connection:
            parts = [
                sa.select(table.c.time_us, table.c.id).where(*_conditions(table, query))
                for table in _tables(connection)
            ]
            if not parts:
                return None
            newest = sa.union_all(*parts).order_by(sa.text("time_us DESC"), sa.text("id DESC"))
            row = connection.execute(newest.offset(query.limit).limit(1)).first()
        return None if row is None else (row[0], row[1])


def _tables(connection: sa.Connection) -> list[sa.Table]:
    return [partition_table(name) for name in partitions(sa.inspect(connection).get_table_names())]


def _conditions(table: sa.Table, query: Query) -> Iterator[sa.ColumnElement[bool]]:
    wanted = query.filter
    if query.since_us is not None:
        yield table.c.time_us >= query.since_us
    if query.until_us is not None:
        yield table.c.time_us < query.until_us
    if wanted.site:
        yield table.c.site == wanted.site
    if wanted.node:
        yield sa.or_(table.c.name == wanted.node, table.c.node == wanted.node)
    if wanted.pipeline:
        yield table.c.pipeline == wanted.pipeline
    if wanted.model:
        yield table.c.model == wanted.model


def _behind(table: sa.Table, after: _Key | None) -> Iterator[sa.ColumnElement[bool]]:
    if after is not None:
        time_us, row = after
        yield table.c.time_us >= time_us  # lets the index begin there
        yield sa.or_(table.c.time_us > time_us, table.c.id > row)


def _dropped(wanted: Filter) -> sa.Select[Any]:
    query = sa.select(sa.func.sum(holes.c.last - holes.c.first + 1)).join(streams).where(holes.c.reason != NOT_DROPPED)
    if wanted.site:
        query = query.where(streams.c.site == wanted.site)
    if wanted.node:
        query = query.where(sa.or_(streams.c.name == wanted.node, streams.c.node == wanted.node))
    return query
