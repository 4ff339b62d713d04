"""Rows of labels: what results should have said, and whether they did. Beside the results, in their database."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from coordinator.db.engine import answering, reading, writing
from coordinator.db.results_query import conditions
from coordinator.db.results_tables import labels, partition_table, row_id, streams
from coordinator.db.upsert import upsert_all
from coordinator.results.labels import Label, Taken, Tally, is_right
from coordinator.results.partitions import partitions
from coordinator.results.query import Query
from coordinator.rollouts.records import Truth
from protos.identity import NodeId

AT_ONCE = 500
"""Results looked up in one statement."""
COLUMNS_OF = {
    "version": (labels.c.model, labels.c.version),
    "site": (labels.c.site,),
    "node": (labels.c.site, labels.c.name),
    "pipeline": (labels.c.pipeline,),
    "label": (labels.c.label,),
}
"""Of each of `coordinator.results.labels.GROUPS`; values are joined to a key."""


class LabelRows:
    """Callable from any thread; every method raises Unreachable where the database does not answer."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, given: Sequence[Label], by: str, now: datetime) -> Taken:
        """Store labels, each in place of the one before; those whose results are not here are told."""
        with answering(self._engine), writing(self._engine) as connection:
            wanted = dict(_ids(connection, given))
            rows = [_row(found, wanted[found["id"]], by, now) for found in _results(connection, list(wanted))]
            for part in _parts(rows):
                upsert_all(connection, labels, part)
        known = {row["id"] for row in rows}
        there = {(label.stream, label.seq) for row, label in wanted.items() if row in known}
        unknown = tuple(f"{one.stream}/{one.seq}" for one in given if (one.stream, one.seq) not in there)
        return Taken(len(rows), sum(bool(row["right"]) for row in rows), unknown)

    def tallies(self, query: Query, version: int, by: str) -> tuple[Tally, ...]:
        """Labelled answers within a query's filter and times, of a version (0: all), by one of the groups."""
        columns = COLUMNS_OF[by]
        counted = (
            sa.select(*columns, sa.func.count(), _right())
            .where(*conditions(labels, query), *([labels.c.version == version] if version else []))
            .group_by(*columns)
            .order_by(*columns)
        )
        with answering(self._engine), reading(self._engine) as connection:
            rows = connection.execute(counted).all()
        sign = "@" if by == "version" else "/"
        return tuple(Tally(sign.join(map(str, row[:-2])), int(row[-2]), int(row[-1])) for row in rows)

    def truths(self, model: str, version: int, since: datetime) -> tuple[Truth, ...]:
        """Labelled answers of a version, captured since then, by node and pipeline."""
        since_us = int(since.timestamp() * 1e6)
        counted = (
            sa.select(labels.c.node, labels.c.pipeline, sa.func.count(), _right())
            .where(labels.c.model == model, labels.c.version == version, labels.c.time_us >= since_us)
            .group_by(labels.c.node, labels.c.pipeline)
        )
        with answering(self._engine), reading(self._engine) as connection:
            rows = connection.execute(counted).all()
        return tuple(Truth(NodeId(node), pipeline, int(count), int(right)) for node, pipeline, count, right in rows)


def _right() -> sa.ColumnElement[int]:
    return sa.func.sum(sa.cast(labels.c.right, sa.Integer))


def _ids(connection: sa.Connection, given: Sequence[Label]) -> Iterator[tuple[int, Label]]:
    """The ids of the rows that the results have, where their streams are known."""
    numbers: dict[str, int] = {}
    for part in _parts(sorted({one.stream for one in given})):
        found = connection.execute(sa.select(streams.c.stream, streams.c.number).where(streams.c.stream.in_(part)))
        numbers |= {stream: int(number) for stream, number in found}
    for one in given:
        if one.stream in numbers:
            yield row_id(numbers[one.stream], one.seq), one


def _results(connection: sa.Connection, wanted: Sequence[int]) -> Iterator[Mapping[str, Any]]:
    for name in partitions(sa.inspect(connection).get_table_names()):
        table = partition_table(name)
        for part in _parts(wanted):
            found = connection.execute(sa.select(table).where(table.c.id.in_(part))).mappings().all()
            yield from map(dict, found)


def _row(found: Mapping[str, Any], label: Label, by: str, now: datetime) -> dict[str, object]:
    kept = ("id", "time_us", "node", "site", "name", "pipeline", "model", "version")
    right = is_right(bytes(found["event"]), label.label)
    return {**{key: found[key] for key in kept}, "label": label.label, "right": right, "by": by, "at": now}


def _parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, AT_ONCE)):
        yield part
