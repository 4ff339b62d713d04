"""The outbox's ledger: what of the stream has a number, what waits on the disk, what is free, what is given up.

    ledger = Ledger(path, limits, random, monotonic)
    ledger.open()
    committed = ledger.write(drafts, refused=0)      # one commit
    ledger.tend(is_idle=not committed)               # frees what is acknowledged, keeps the bounds

When the disk is full or fails, the results keep their numbers, are counted as dropped, and a hole is written when the
disk takes it. (Only a crash before that forgets the hole and gives those numbers again.) A broken file is set aside
under a new name and a NEW stream begins, for numbers must never repeat.

Ages are measured on the ledger's own clock, which runs only while the agent does: a wrong or jumping wall clock
neither drops a result nor keeps it for ever.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_node.config import OutboxLimits
from edge_node.outbox.events import Draft, encode_result
from edge_node.outbox.policy import OVERHEAD_BYTES, Candidate, Hole, Reason, merged
from edge_node.outbox.records import NewResult, Record, Records, State, Waiting, is_corrupt, set_aside
from protos.identity import ID_BYTES, StreamId, stream_id
from protos.topics import MAX_PAYLOAD

LOOK_S = 1.0
"""How often ages are looked at."""
BRACKETS = 2
"""A message is a JSON array."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Committed:
    """A result with its number and bytes. `stored` is false where the disk did not take it: live is all it gets."""

    draft: Draft
    seq: int
    event: bytes
    stored: bool


class Ledger:
    """One file. `write` and `tend` belong to one thread, `read` to another; the rest may be asked by any.

    Args:
        path: of the file.
        limits: how much may wait, for how long, and what goes first.
        random: so many random bytes, for the stream's id.
        monotonic: seconds.
    """

    def __init__(
        self, path: Path, limits: OutboxLimits, random: Callable[[int], bytes], monotonic: Callable[[], float]
    ) -> None:
        self.state = State(StreamId(""), 0, 0)
        self.waiting = Waiting(0, 0)
        self.dropped: Counter[Reason] = Counter()
        self._path, self._limits, self._random, self._monotonic = path, limits, random, monotonic
        self._table, self._reader = Records(path), Records(path)
        self._unwritten: list[Hole] = []
        self._acked = 0
        self._first_of_run = 1
        self._clock_offset = 0.0
        self._disk_failed = False
        self._looked_at = float("-inf")

    def now(self) -> float:
        """The ledger's own clock, in seconds."""
        return self._monotonic() + self._clock_offset

    def is_late(self, record: Record, after_s: float) -> bool:
        """Whether a result has waited longer than so many seconds, or since before this start."""
        return record.seq < self._first_of_run or self.now() - record.at > after_s

    def read(self, after: int, max_count: int, max_bytes: int) -> list[Record]:
        """What follows a number, in order; empty while the disk does not answer."""
        try:
            return self._reader.read(after, max_count, max_bytes)
        except sqlite3.DatabaseError as error:
            log.warning("outbox %s cannot be read: %s", self._path, error)
            return []

    def acked(self, through: int) -> None:
        """Everything through this number is committed elsewhere: the next `tend` frees it."""
        self._acked = max(self._acked, through)

    def open(self) -> None:
        """Open the file; a broken one is set aside.

        Raises:
            OSError, sqlite3.DatabaseError: it can neither be used nor made.
        """
        try:
            self._open_once()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                self._table.close()
                raise
            self._set_aside(error)
            self._open_once()

    def write(self, drafts: Sequence[Draft], refused: int) -> list[Committed]:
        """One commit of results, and of so many refused ones; a disk that fails costs results, counted, no more."""
        try:
            self._mend()
            return self._commit(drafts, refused)
        except sqlite3.DatabaseError as error:
            if is_corrupt(error):
                return self._begin_again(drafts, refused, error)
            self._report_disk(error)
            return []

    def tend(self, *, is_idle: bool) -> None:
        """Free what is acknowledged, keep the bounds. A file that breaks is left to the next commit, unless `is_idle`:
        nothing was written just now.
        """
        try:
            self._tend()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                self._report_disk(error)
            elif is_idle:
                self._begin_again((), 0, error)

    def end_writing(self) -> None:
        """Close what `write` has opened."""
        self._table.close()

    def end_reading(self) -> None:
        """Close what `read` has opened."""
        self._reader.close()

    def _set_aside(self, error: sqlite3.Error) -> None:
        self._table.close()
        aside = set_aside(self._path)
        log.error("outbox %s is broken (%s): set aside as %s, a new stream begins", self._path, error, aside.name)

    def _open_once(self) -> None:
        self._table.open()
        self.state = self._table.prepare(stream_id(self._random(ID_BYTES)), self._limits.policy)
        self.waiting = self._table.waiting()
        self._acked = self.state.freed
        self._first_of_run, self._unwritten = self.state.last_seq + 1, []
        self._clock_offset = max(self.now(), self._table.newest_at()) - self._monotonic()
        self._reader.close()
        self._reader = Records(self._path)
        self._reader.open()

    def _begin_again(self, drafts: Sequence[Draft], refused: int, error: sqlite3.Error) -> list[Committed]:
        """The file broke while it was in use: put the results into a new one."""
        try:
            self._set_aside(error)
            self._open_once()
            return self._commit(drafts, refused)
        except (OSError, sqlite3.DatabaseError) as again:
            self._table.close()
            self._report_disk(again)
            self.dropped[Reason.DISK_FULL] += len(drafts)
            return []

    def _mend(self) -> None:
        """Open the file again where a new one could not be made; a disk that refuses is asked with every commit."""
        if not self._table.is_open:
            try:
                self.open()
            except OSError as error:
                self._report_disk(error)

    def _report_disk(self, error: Exception) -> None:
        if not self._disk_failed:
            log.error("outbox %s cannot be written: %s: results are counted and dropped", self._path, error)
        self._disk_failed = True

    def _commit(self, drafts: Sequence[Draft], refused: int) -> list[Committed]:
        """Number the results and write them; where the disk refuses they become holes that are written later."""
        if not (drafts or refused or self._unwritten):
            return []
        first = self.state.last_seq + 1
        events = [
            (draft, seq, encode_result(draft, self.state.stream, seq)) for seq, draft in enumerate(drafts, start=first)
        ]
        last = first + len(events) + refused - 1
        fitting = [event for event in events if len(event[2]) + BRACKETS <= MAX_PAYLOAD]
        gone = [Hole(seq, seq, Reason.TOO_LARGE) for _, seq, event in events if len(event) + BRACKETS > MAX_PAYLOAD]
        if refused:
            gone.append(Hole(last - refused + 1, last, Reason.OVERLOADED))
        results = [NewResult(seq, draft.context.priority, event) for draft, seq, event in fitting]
        stored = self._append(results, gone, last)
        for hole in gone:
            self.dropped[hole.reason] += hole.count
        return [Committed(draft, seq, event, stored) for draft, seq, event in fitting]

    def _append(self, results: list[NewResult], gone: list[Hole], last: int) -> bool:
        """Whether the disk took them."""
        holes = merged([*self._unwritten, *gone])
        try:
            self._table.append(results, holes, last, self.now())
        except sqlite3.DatabaseError as error:
            if is_corrupt(error):
                raise
            self._on_disk_refused(results, holes, last, error)
            return False
        if self._disk_failed:
            log.warning("outbox %s is written again", self._path)
        self._disk_failed, self._unwritten = False, []
        self.state = State(self.state.stream, last, self.state.freed)
        size = sum(len(result.body) for result in results) + OVERHEAD_BYTES * len(results)
        self.waiting = Waiting(self.waiting.count + len(results), self.waiting.size + size)
        return True

    def _on_disk_refused(
        self, results: Sequence[NewResult], gone: Sequence[Hole], last: int, error: sqlite3.Error
    ) -> None:
        self._report_disk(error)
        self.dropped[Reason.DISK_FULL] += len(results)
        self._unwritten = merged([*gone, *(Hole(result.seq, result.seq, Reason.DISK_FULL) for result in results)])
        self.state = State(self.state.stream, last, self.state.freed)

    def _tend(self) -> None:
        """Free what is acknowledged, then keep the bounds."""
        acked = self._acked
        if acked > self.state.last_seq:
            self._begin_new_stream(acked)
        elif acked > self.state.freed:
            self._forget(self._table.free(acked))
            self.state = State(self.state.stream, self.state.last_seq, acked)
        excess = self.waiting.size - self._limits.max_bytes
        if excess > 0:
            self._count_gone(self._table.give_up_bytes(excess, self._limits.policy, self.now()), Reason.OUTBOX_FULL)
        if self.now() - self._looked_at >= LOOK_S:
            self._looked_at = self.now()
            oldest = self._looked_at - self._limits.max_age_s
            self._count_gone(self._table.give_up_older(oldest, self._looked_at), Reason.TOO_OLD)

    def _count_gone(self, gone: Sequence[Candidate], reason: Reason) -> None:
        self.dropped[reason] += len(gone)
        self._forget(Waiting(len(gone), sum(candidate.size for candidate in gone)))

    def _forget(self, less: Waiting) -> None:
        self.waiting = Waiting(self.waiting.count - less.count, self.waiting.size - less.size)

    def _begin_new_stream(self, acked: int) -> None:
        """The collector has more of this stream than is here: the disk was cloned, or has lost commits."""
        log.error(
            "outbox %s: results through %d are acknowledged but the last one here is %d: the disk was cloned, restored"
            " or lost what it had confirmed; a new stream begins",
            self._path, acked, self.state.last_seq,
        )  # fmt: skip
        fresh = stream_id(self._random(ID_BYTES))
        self._table.begin_stream(fresh)
        self.state, self._acked, self.waiting = State(fresh, 0, 0), 0, Waiting(0, 0)
        self._first_of_run, self._unwritten = 1, []
