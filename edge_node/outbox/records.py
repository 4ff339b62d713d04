"""The outbox's file: one SQLite table of what waits, in the order of the stream. The only door to sqlite3 on the node.

A row is a result (`first == seq`, no reason) or a hole (`first` to `seq` are gone, with the reason, no body). One
more row holds the stream's id, its last number and how far it was acknowledged, so that numbers are never given twice.
Write-ahead log, full synchronization: what a commit has returned for survives a power cut.

Every method is one transaction or one query. Which results go is `policy`'s decision; when, the `ledger`'s.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from edge_node.outbox.policy import ORDER, OVERHEAD_BYTES, Candidate, Hole, Reason, given_up, holes, merged
from protos.identity import StreamId

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -2048")
_RECORDS = """CREATE TABLE records (seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, at REAL NOT NULL,
priority INTEGER NOT NULL, reason TEXT, body BLOB NOT NULL)"""
_STATE = """CREATE TABLE state (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), stream TEXT NOT NULL,
last_seq INTEGER NOT NULL, freed INTEGER NOT NULL)"""
_BY_PRIORITY = "CREATE INDEX IF NOT EXISTS by_priority ON records (priority, seq) WHERE reason IS NULL"
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Record:
    """What stands at `seq` in the stream: a result's bytes, or (with a reason) a hole from `first` to `seq`.

    `at` is on the outbox's own clock, in seconds.
    """

    seq: int
    first: int
    at: float
    reason: Reason | None
    body: bytes


@dataclass(frozen=True, slots=True)
class NewResult:
    """A numbered result on its way to the disk."""

    seq: int
    priority: int
    body: bytes


@dataclass(frozen=True, slots=True)
class State:
    """The stream, the last number given, and how far it was acknowledged and freed."""

    stream: StreamId
    last_seq: int
    freed: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many results wait, and their bytes on disk."""

    count: int
    size: int


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, as against a disk that is full or fails."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _CORRUPT


class Records:
    """An open file. Each thread has its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    @property
    def _sql(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError(f"{self._path} is not open")
        return self._connection

    def open(self) -> None:
        """Connect.

        Raises:
            sqlite3.DatabaseError: not a database, or the disk is full or fails.
        """
        self._connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        for pragma in _PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")

    def prepare(self, fresh: StreamId, policy: str) -> State:
        """Check the file, make the tables where there are none, and return where the stream stands.

        Args:
            fresh: the stream's id if the file is new.
            policy: a key of `policy.ORDER`; only one of them needs an index.

        Raises:
            sqlite3.DatabaseError: the file is broken or of another schema, or the disk is full or fails.
        """
        problem = self._sql.execute("PRAGMA quick_check(1)").fetchone()[0]
        version = self._sql.execute("PRAGMA user_version").fetchone()[0]
        if problem != "ok" or version not in (0, SCHEMA_VERSION):
            broken = sqlite3.DatabaseError(problem if problem != "ok" else f"schema version {version}")
            broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise broken
        with self._transaction():
            if version == 0:
                self._create(fresh)
            self._sql.execute(_BY_PRIORITY if policy == "drop_lowest_priority" else "DROP INDEX IF EXISTS by_priority")
        return self.state()

    def _create(self, fresh: StreamId) -> None:
        self._sql.execute(_RECORDS)
        self._sql.execute(_STATE)
        self._sql.execute("INSERT INTO state VALUES (1, ?, 0, 0)", (fresh,))
        self._sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def state(self) -> State:
        """Where the stream stands."""
        return State(*self._sql.execute("SELECT stream, last_seq, freed FROM state").fetchone())

    def waiting(self) -> Waiting:
        """How much waits; reads the whole table."""
        query = "SELECT count(*), coalesce(sum(length(body) + ?), 0) FROM records WHERE reason IS NULL"
        return Waiting(*self._sql.execute(query, (OVERHEAD_BYTES,)).fetchone())

    def newest_at(self) -> float:
        """The outbox's clock when the newest row was written; 0 where there is none."""
        row = self._sql.execute("SELECT at FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        return float(row[0]) if row else 0.0

    def append(self, results: Sequence[NewResult], gone: Sequence[Hole], last_seq: int, at: float) -> None:
        """Write new results and new holes, and the last number given, in one transaction."""
        with self._transaction():
            self._sql.executemany(
                "INSERT INTO records (seq, first, at, priority, reason, body) VALUES (?, ?, ?, ?, NULL, ?)",
                [(result.seq, result.seq, at, result.priority, result.body) for result in results],
            )
            self._write_holes(gone, at)
            self._sql.execute("UPDATE state SET last_seq = max(last_seq, ?)", (last_seq,))

    def give_up_bytes(self, excess: int, policy: str, at: float) -> list[Candidate]:
        """Turn results into holes, in the policy's order, until the excess is freed; what went."""
        query = "SELECT seq, length(body) + ? FROM records WHERE reason IS NULL ORDER BY " + ORDER[policy]  # noqa: S608 (ours)
        with self._transaction():
            gone = given_up((Candidate(*row) for row in self._sql.execute(query, (OVERHEAD_BYTES,))), excess)
            self._replace(gone, Reason.OUTBOX_FULL, at)
        return gone

    def give_up_older(self, than: float, at: float) -> list[Candidate]:
        """Turn results from before a time of the outbox's clock into holes; what went."""
        query = "SELECT seq, length(body) + ?, at FROM records WHERE reason IS NULL ORDER BY seq"
        older = takewhile(lambda row: row[2] < than, self._sql.execute(query, (OVERHEAD_BYTES,)))
        gone = [Candidate(seq, size) for seq, size, _ in older]
        if gone:
            with self._transaction():
                self._replace(gone, Reason.TOO_OLD, at)
        return gone

    def free(self, through: int) -> Waiting:
        """Delete what is acknowledged; how much of it were results."""
        query = "SELECT count(*), coalesce(sum(length(body) + ?), 0) FROM records WHERE seq <= ? AND reason IS NULL"
        with self._transaction():
            count, size = self._sql.execute(query, (OVERHEAD_BYTES, through)).fetchone()
            self._sql.execute("DELETE FROM records WHERE seq <= ?", (through,))
            self._sql.execute("UPDATE state SET freed = max(freed, ?)", (through,))
        return Waiting(count, size)

    def begin_stream(self, fresh: StreamId) -> None:
        """Forget what waits and begin a new stream."""
        with self._transaction():
            self._sql.execute("DELETE FROM records")
            self._sql.execute("UPDATE state SET stream = ?, last_seq = 0, freed = 0", (fresh,))

    def read(self, after: int, max_count: int, max_bytes: int) -> list[Record]:
        """What follows the number `after`, in order: at least one row if there is one, else within both bounds."""
        query = "SELECT seq, first, at, reason, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
        found: list[Record] = []
        size = 0
        for seq, first, at, reason, body in self._sql.execute(query, (after, max_count)):
            size += len(body)
            if found and size > max_bytes:
                break
            found.append(Record(seq, first, at, Reason(reason) if reason else None, body))
        return found

    def close(self) -> None:
        """Disconnect; the last one folds the log into the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _replace(self, gone: Sequence[Candidate], reason: Reason, at: float) -> None:
        self._sql.executemany("DELETE FROM records WHERE seq = ?", [(candidate.seq,) for candidate in gone])
        self._write_holes(holes((candidate.seq for candidate in gone), reason), at)

    def _write_holes(self, new: Iterable[Hole], at: float) -> None:
        for hole in new:
            touching = [Hole(first, last, Reason(reason)) for first, last, reason in self._beside(hole)]
            self._sql.executemany("DELETE FROM records WHERE seq = ?", [(other.last,) for other in touching])
            self._sql.executemany(
                "INSERT INTO records (seq, first, at, priority, reason, body) VALUES (?, ?, ?, 0, ?, x'')",
                [(whole.last, whole.first, at, whole.reason.value) for whole in merged([hole, *touching])],
            )

    def _beside(self, hole: Hole) -> Iterator[tuple[int, int, str]]:
        """The holes that end just before or begin just after, of the same reason."""
        before = "SELECT first, seq, reason FROM records WHERE seq = ? AND reason = ?"
        yield from self._sql.execute(before, (hole.first - 1, hole.reason.value)).fetchall()
        behind = "SELECT first, seq, reason FROM records WHERE seq > ? ORDER BY seq LIMIT 1"
        for first, last, reason in self._sql.execute(behind, (hole.last,)).fetchall():
            if first == hole.last + 1 and reason == hole.reason.value:
                yield first, last, reason

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise


def set_aside(path: Path) -> Path:
    """Rename a broken file, with its log, to a name that is free; the new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside
