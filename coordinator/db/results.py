"""Writes results: what continues each stream, the stream's new `through`, holes and alarms; drops old partitions.

One transaction for a whole group of messages. `through` is read and written inside it, so that two collectors on one
database still store everything once. Rows go to the driver as they are: at tens of thousands a second a statement
built for each row would cost more than the row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from coordinator.db.engine import writing
from coordinator.db.results_tables import (
    COLUMNS,
    alarms,
    holes,
    labels,
    partition_counts,
    partition_table,
    row_id,
    streams,
)
from coordinator.results.ingest import Alarm, Outcome, StoreFailed
from coordinator.results.partitions import expired, partition_of, partitions
from coordinator.results.records import Arrival, Kind
from coordinator.results.sequence import Taken, same_content, take
from protos.identity import NodeId, StreamId

COMPARED = 64
"""Duplicates of a stream whose content is compared in one commit: a cloned disk differs in nearly all."""

_Stream = tuple[int, NodeId, int]
"""number, node, through"""


class ResultsRepository:
    """The writing half of a results database: the collector's `ResultStore`."""

    def __init__(self, engine: sa.Engine, keep_days: int) -> None:
        self._engine = engine
        self._keep_days = keep_days
        self._known: set[str] = set()
        """partitions that are there: made, and committed"""
        mark = "?" if engine.dialect.name == "sqlite" else "%s"
        self._values = f"({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"

    def commit(self, streams_heard: Mapping[StreamId, Sequence[Arrival]], now: datetime) -> list[Outcome]:
        """Take what continues each stream.

        Raises:
            StoreFailed: the database refused; nothing was committed.
        """
        with self._transaction() as connection:
            known = self._known_streams(connection, streams_heard)
            outcomes = [
                self._take(connection, known[stream], arrivals, now) for stream, arrivals in streams_heard.items()
            ]
            self._insert(connection, known, outcomes, now.date())
        if any(outcome.stored for outcome in outcomes):
            self._known.add(partition_of(now.date()))
        return outcomes

    def hand_over(self, stream: StreamId, node: NodeId) -> None:
        """A stream is this node's from now on.

        Raises:
            StoreFailed: the database refused.
        """
        with self._transaction() as connection:
            connection.execute(sa.update(streams).where(streams.c.stream == stream).values(node=node))

    def record_alarm(self, alarm: Alarm, node: NodeId, stream: str, detail: str, now: datetime) -> None:
        """Note an alarm; the same one again is counted.

        Raises:
            StoreFailed: the database refused.
        """
        values = {"detail": _storable(detail), "last_at": now}
        with self._transaction() as connection:
            statement = self._insert_into(alarms).values(
                alarm=alarm.value, node=node, stream=stream, first_at=now, times=1, **values
            )
            again = {**values, "times": alarms.c.times + 1}
            connection.execute(statement.on_conflict_do_update(index_elements=["alarm", "node", "stream"], set_=again))

    def drop_expired(self, now: datetime) -> list[str]:
        """Drop the partitions that are past their retention, and the holes of that time; the partitions' names.

        Raises:
            StoreFailed: the database refused.
        """
        with self._transaction() as connection:
            gone = expired(sa.inspect(connection).get_table_names(), now.date(), self._keep_days)
            for name in gone:
                connection.execute(sa.schema.DropTable(partition_table(name), if_exists=True))
            connection.execute(sa.delete(partition_counts).where(partition_counts.c.partition.in_(gone)))
            if self._keep_days > 0:
                oldest = now - timedelta(days=self._keep_days)
                connection.execute(sa.delete(holes).where(holes.c.arrived_at < oldest))
                connection.execute(sa.delete(labels).where(labels.c.at < oldest))
        self._known -= set(gone)
        return gone

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with writing(self._engine) as connection:
                yield connection
        except (sa.exc.DataError, sa.exc.IntegrityError):
            raise  # about a value, not about the database: other messages can be stored
        except sa.exc.DBAPIError as error:
            raise StoreFailed(str(error.orig).strip().splitlines()[0]) from None

    def _insert_into(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        return sqlite.insert(table) if self._engine.dialect.name == "sqlite" else postgresql.insert(table)

    def _known_streams(
        self, connection: sa.Connection, heard: Mapping[StreamId, Sequence[Arrival]]
    ) -> dict[StreamId, _Stream]:
        """Where each stream stands, locked until the commit; a stream that is new begins at 0 and is its node's."""
        found = self._locked_streams(connection, list(heard))
        new = [stream for stream in heard if stream not in found]
        if new:
            blank = {"site": "", "name": "", "through": 0}
            rows = [{"stream": stream, "node": heard[stream][0].node, **blank} for stream in new]
            connection.execute(self._insert_into(streams).on_conflict_do_nothing(), rows)
            found |= self._locked_streams(connection, new)
        return found

    def _locked_streams(self, connection: sa.Connection, wanted: Sequence[StreamId]) -> dict[StreamId, _Stream]:
        query = sa.select(streams.c.stream, streams.c.number, streams.c.node, streams.c.through)
        query = query.where(streams.c.stream.in_(wanted)).order_by(streams.c.number).with_for_update()
        return {StreamId(name): (number, NodeId(node), at) for name, number, node, at in connection.execute(query)}

    def _take(self, connection: sa.Connection, known: _Stream, arrivals: Sequence[Arrival], now: datetime) -> Outcome:
        number, owner, through = known
        if any(arrival.node != owner for arrival in arrivals):
            foreign = next(arrival for arrival in arrivals if arrival.node != owner)
            return Outcome(foreign.node, foreign.stream, through, refused=True, owner=owner)
        taken = take(through, arrivals)
        if taken.through > through:
            self._move_on(connection, number, taken, now)
        return Outcome(
            owner,
            arrivals[0].stream,
            taken.through,
            stored=taken.results,
            holes=sum(hole.seq - hole.first + 1 for hole in taken.holes),
            duplicates=len(taken.duplicates),
            beyond_gap=taken.beyond_gap,
            conflict=self._conflict(connection, number, taken.duplicates, now.date()),
        )

    def _move_on(self, connection: sa.Connection, number: int, taken: Taken, now: datetime) -> None:
        moved: dict[str, object] = {"through": taken.through}
        if taken.results:
            moved |= {"site": taken.results[-1].site, "name": taken.results[-1].name}
        connection.execute(sa.update(streams).where(streams.c.number == number).values(moved))
        if taken.holes:
            rows = [
                {
                    "stream_number": number,
                    "first": hole.first,
                    "last": hole.seq,
                    "reason": hole.reason,
                    "arrived_at": now,
                }
                for hole in taken.holes
            ]
            connection.execute(sa.insert(holes), rows)

    def _insert(
        self, connection: sa.Connection, known: Mapping[StreamId, _Stream], outcomes: Sequence[Outcome], day: date
    ) -> None:
        rows = []
        for outcome in outcomes:
            base = row_id(known[outcome.stream][0], 0)
            rows += [
                (base + r.seq, r.time_us, r.node, r.site, r.name, r.pipeline, r.model, r.version, r.event)
                for r in outcome.stored
            ]
        if rows:
            name = partition_of(day)
            self._make_partition(connection, name)
            connection.exec_driver_sql(f"INSERT INTO {name} {self._values}", rows)
            self._count(connection, name, len(rows))

    def _count(self, connection: sa.Connection, name: str, more: int) -> None:
        """Keep the number of a partition's results: counting millions of rows takes seconds."""
        statement = self._insert_into(partition_counts).values(partition=name, results=more)
        summed = {"results": partition_counts.c.results + more}
        connection.execute(statement.on_conflict_do_update(index_elements=["partition"], set_=summed))

    def _make_partition(self, connection: sa.Connection, name: str) -> None:
        if name in self._known:
            return
        table = partition_table(name)
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))

    def _conflict(
        self, connection: sa.Connection, number: int, duplicates: Sequence[Arrival], today: date
    ) -> int | None:
        """The first number of a duplicate whose content is not what was stored today or yesterday."""
        compared = {row_id(number, came.seq): came for came in duplicates[-COMPARED:] if came.kind is Kind.RESULT}
        if not compared:
            return None
        recent = {partition_of(today), partition_of(today - timedelta(days=1))}
        for name in recent.intersection(partitions(sa.inspect(connection).get_table_names())):
            table = partition_table(name)
            stored = connection.execute(sa.select(table.c.id, table.c.event).where(table.c.id.in_(compared)))
            for row, event in stored:
                if not same_content(bytes(event), compared[row].event):
                    return compared[row].seq
        return None


def _storable(text: str) -> str:
    """The text without what PostgreSQL keeps in none: NUL, and halves of a surrogate pair."""
    return text.encode("utf-8", "ignore").decode().replace("\0", "")
