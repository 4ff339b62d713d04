"""Reads results: in pages, oldest first, over all partitions, in constant memory.

Partitions are days of arrival and a query asks for times of capture, so that any partition may hold an answer; the
index on time finds it at once or finds nothing. Each partition is read in steps of its own, and the steps are merged:
first one row, so that a partition whose time has not come costs nothing, then as many as leave all partitions together
within `HELD_PAGES`. A step begins behind the last row of the one before: no transaction stays open while a slow reader
thinks, and a partition that is dropped meanwhile is at its end.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from coordinator.db.engine import answering, reading
from coordinator.db.results_tables import holes, partition_counts, partition_table, streams
from coordinator.results.partitions import partitions
from coordinator.results.query import Count, Filter, Query

PAGE = 1_000
HELD_PAGES = 10
"""In memory at the most, where results of many partitions were captured at the same time."""
SMALLEST_STEP = 10
NOT_DROPPED = "freed"
"""The reason of holes that no node made: results that were stored here before, and lost here."""

_Row = Sequence[Any]
"""time_us, id, and what else was asked for; the first two are the order"""


@dataclass(frozen=True)
class _Walk:
    """Rows of `columns` that answer the query, behind the key `after`; from the newest where it goes backwards."""

    query: Query
    columns: tuple[str, ...]
    after: _Row | None = None
    backwards: bool = False


class ResultsQuery:
    """The reading half of a results database. Every method may be called on any thread.

    Every method raises Unreachable where the database does not answer.
    """

    def __init__(self, engine: sa.Engine, page: int = PAGE) -> None:
        self._engine = engine
        self._page = page

    def batches(self, query: Query) -> Iterator[list[bytes]]:
        """Events of the answers, oldest first, a page at a time."""
        after = self._before_newest(query) if query.newest and query.limit else None
        rows = islice(self._rows(_Walk(query, ("event",), after)), query.limit or None)
        while page := [bytes(event) for _, _, event in islice(rows, self._page)]:
            yield page

    def count(self, query: Query) -> Count:
        """How many results are stored within filter, since and until, and how many numbers stand for dropped ones.

        Where everything is asked for, the partitions' counters answer. A dropped result is known by its node alone:
        site and node are looked at, pipeline, model and time are not.
        """
        everything = (query.filter, query.since_us, query.until_us) == (Filter(), None, None)
        with self._reading() as connection:
            results = _stored(connection) if everything else _counted(connection, query)
            dropped = connection.execute(_dropped(query.filter)).scalar_one()
        return Count(results, int(dropped or 0))

    def _before_newest(self, query: Query) -> _Row | None:
        """The key just before the newest `limit` answers; None if there are no more than that."""
        keys = self._rows(_Walk(query, (), backwards=True))
        return next(islice(keys, query.limit, None), None)

    def _rows(self, walk: _Walk) -> Iterator[_Row]:
        """The rows of all partitions in one order."""
        with self._reading() as connection:
            names = partitions(sa.inspect(connection).get_table_names())
        step = max(SMALLEST_STEP, self._page * HELD_PAGES // max(1, len(names)))
        every = [self._rows_of(partition_table(name), walk, min(step, self._page)) for name in names]
        return heapq.merge(*every, key=_key, reverse=walk.backwards)

    def _rows_of(self, table: sa.Table, walk: _Walk, step: int) -> Iterator[_Row]:
        after, size = walk.after, 1
        while rows := self._step(table, walk, after, size):
            yield from rows
            if len(rows) < size:
                return
            after, size = rows[-1], step

    def _step(self, table: sa.Table, walk: _Walk, after: _Row | None, size: int) -> Sequence[_Row]:
        order = (table.c.time_us, table.c.id)
        query = (
            sa.select(*order, *(table.c[name] for name in walk.columns))
            .where(*conditions(table, walk.query), *_behind(table, after, walk.backwards))
            .order_by(*(column.desc() if walk.backwards else column for column in order))
            .limit(size)
        )
        with self._reading() as connection:
            if not sa.inspect(connection).has_table(table.name):
                return ()
            return connection.execute(query).all()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with answering(self._engine), reading(self._engine) as connection:
            yield connection


def _key(row: _Row) -> tuple[int, int]:
    return row[0], row[1]


def _stored(connection: sa.Connection) -> int:
    """Results in all partitions, as they were counted when they were committed."""
    return int(connection.execute(sa.select(sa.func.sum(partition_counts.c.results))).scalar_one() or 0)


def _counted(connection: sa.Connection, query: Query) -> int:
    """Answers, counted one by one."""
    results = 0
    for name in partitions(sa.inspect(connection).get_table_names()):
        table = partition_table(name)
        counted = sa.select(sa.func.count()).select_from(table).where(*conditions(table, query))
        results += connection.execute(counted).scalar_one()
    return results


def conditions(table: sa.Table, query: Query) -> Iterator[sa.ColumnElement[bool]]:
    """What rows of a table with the columns of results have to meet."""
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


def _behind(table: sa.Table, after: _Row | None, backwards: bool) -> Iterator[sa.ColumnElement[bool]]:
    if after is None:
        return
    time_us, row = _key(after)
    if backwards:
        yield table.c.time_us <= time_us  # lets the index begin there
        yield sa.or_(table.c.time_us < time_us, table.c.id < row)
    else:
        yield table.c.time_us >= time_us
        yield sa.or_(table.c.time_us > time_us, table.c.id > row)


def _dropped(wanted: Filter) -> sa.Select[Any]:
    query = sa.select(sa.func.sum(holes.c.last - holes.c.first + 1)).join(streams).where(holes.c.reason != NOT_DROPPED)
    if wanted.site:
        query = query.where(streams.c.site == wanted.site)
    if wanted.node:
        query = query.where(sa.or_(streams.c.name == wanted.node, streams.c.node == wanted.node))
    return query
