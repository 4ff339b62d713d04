"""Engines: SQLite as the embedded default, PostgreSQL as the way up.

SQLite writes with full synchronization into a write-ahead log, checks foreign keys, and waits for another writer
instead of failing. A transaction that will write says so when it begins, so that two writers queue up and none
fails half-way.

    engine = open_engine("sqlite:////var/lib/nearfield/coordinator.db")
    with writing(engine) as connection: ...
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from coordinator.errors import BadInput, Unreachable

BUSY_TIMEOUT_MS = 10_000
SUPPORTED = "sqlite:///… or postgresql://…"

_WRITE = "nearfield_write"
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_TIMEOUT_MS}")


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file."""
    return str(URL.create("sqlite", database=str(file.resolve())))


def open_engine(url: str) -> sa.Engine:
    """An engine for the URL, after one connection has shown that the database answers.

    Raises:
        BadInput: not a URL of a database that is supported here, or its driver is not installed.
        Unreachable: nobody answers, or access is denied.
    """
    parsed = _parsed(url)
    try:
        engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed)
    except ModuleNotFoundError as error:
        raise BadInput(f"database {_shown(parsed)} needs {error.name}: pip install 'nearfield[postgres]'") from None
    with answering(engine), engine.connect():
        return engine


@contextmanager
def answering(engine: sa.Engine) -> Iterator[None]:
    """Says in one line that a database does not answer, has no room, or cannot keep a value.

    Raises:
        Unreachable: it does not answer, or is none.
        BadInput: PostgreSQL keeps no NUL in a text, and no number beyond its column.
    """
    try:
        yield
    except sa.exc.DataError as error:
        raise BadInput(f"database {_shown(engine.url)}: {_first_line(error)}") from None
    except (sa.exc.DatabaseError, sa.exc.InterfaceError) as error:
        if isinstance(error, sa.exc.IntegrityError | sa.exc.ProgrammingError):
            raise
        raise Unreachable(f"database {_shown(engine.url)}: {_first_line(error)}") from None


def _shown(url: URL) -> str:
    """As a person wrote it: without the driver and the password."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise BadInput(f"database {url!r} is not a URL: write {SUPPORTED}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise BadInput(f"database {parsed.get_backend_name()!r} is not supported: write {SUPPORTED}")
    return parsed


def _first_line(error: sa.exc.DBAPIError) -> str:
    line = str(error.orig).strip().splitlines()[0]
    no_room = getattr(error.orig, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE"  # for the index of its log
    return f"{line}: the disk is full" if no_room else line


def _postgres(url: URL) -> sa.Engine:
    options = {"client_encoding": "utf8"}
    return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=options)


def _sqlite(url: URL) -> sa.Engine:
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin does
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads: one state of the database for all its queries."""
    level = "REPEATABLE READ" if engine.dialect.name == "postgresql" else None
    with engine.connect() as connection:
        if level is not None:
            connection = connection.execution_options(isolation_level=level)  # noqa: PLW2901
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; committed at the end, rolled back on an exception."""
    with engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        yield connection
