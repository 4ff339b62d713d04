"""Opens a results database: the engine, its migrations, its parts."""

import sqlite3
from dataclasses import dataclass

import sqlalchemy as sa

from coordinator.db.engine import open_engine
from coordinator.db.labels import LabelRows
from coordinator.db.migrate import upgrade
from coordinator.db.results import ResultsRepository
from coordinator.db.results_query import ResultsQuery

CHECKPOINT_PAGES = 8_000
"""Of SQLite's log, 32 MB: an index page that many rows touch is folded into the file once, not each time."""

RESULTS = "results"
"""The folder of the migrations."""


@dataclass(frozen=True)
class ResultsDatabase:
    """A results database that is open and of the newest schema."""

    engine: sa.Engine
    repository: ResultsRepository
    query: ResultsQuery
    labels: LabelRows

    def close(self) -> None:
        """Close its connections."""
        self.engine.dispose()


def open_results(url: str, keep_days: int) -> ResultsDatabase:
    """The database at a SQLAlchemy URL; `keep_days` 0 keeps everything.

    Raises:
        BadInput: not a URL of a database that is supported here.
        Unreachable: nobody answers there.
        Refused: it was written by a newer version of Nearfield.
    """
    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _checkpoint_rarely)
        engine.dispose()  # the connection that showed that the database answers does not know yet
    upgrade(engine, RESULTS)
    return ResultsDatabase(engine, ResultsRepository(engine, keep_days), ResultsQuery(engine), LabelRows(engine))


def _checkpoint_rarely(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
