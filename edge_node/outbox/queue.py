"""The outbox: numbers results, keeps them on disk until the collector has committed them, and says when each is safe.

    outbox = Outbox(state_dir / "outbox.db", limits)
    outbox.on_committed = publish_live          # called on the event loop, once per group commit
    await outbox.open()
    outbox.submit([Draft(observation, context)])   # any thread, never blocks

One thread writes. It commits as soon as it is idle, and what has come in the meantime goes together (a natural group
commit: under load the disk's own speed makes the groups; they are capped, so that a result waits milliseconds).

When the disk is full or fails, inference and the live way go on: the results keep their numbers, are counted as
dropped, and a hole is written when the disk takes it. (Only a crash before that forgets the hole and gives those
numbers again.) A broken file is set aside under a new name and a NEW stream begins, for numbers must never repeat.

Ages are measured on the outbox's own clock, which runs only while the agent does: a wrong or jumping wall clock
neither drops a result nor keeps it for ever.
"""

import asyncio
import logging
import secrets
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_node.config import OutboxLimits
from edge_node.errors import BadInput
from edge_node.outbox.events import Draft, encode_result
from edge_node.outbox.policy import OVERHEAD_BYTES, Candidate, Hole, Reason, merged
from edge_node.outbox.records import NewResult, Record, Records, State, Waiting, is_corrupt, set_aside
from protos.identity import ID_BYTES, StreamId, stream_id
from protos.topics import MAX_PAYLOAD

MAX_DRAFTS = 20_000
"""Results in memory that no commit has taken yet; beyond it the newest are refused and counted."""
GROUP = 2_000
"""Results in one commit."""
TICK_S = 1.0
"""How often the writer looks at ages, acknowledgements and a disk that was full."""
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


class Outbox:
    """The queue of one node. `open`, `read`, `acked` and `close` belong to the event loop; `submit` to any thread."""

    def __init__(
        self,
        path: Path,
        limits: OutboxLimits,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_committed: Callable[[Sequence[Committed]], None] = lambda _: None
        self.changed = asyncio.Event()
        """set on the event loop after every commit; who waits for it clears it"""
        self.dropped: Counter[Reason] = Counter()
        """results given up since the start, by reason"""
        self._path, self._limits, self._random, self._monotonic = path, limits, random, monotonic
        self._drafts: deque[Draft] = deque()
        self._refused = 0
        self._closing = False
        self._condition = threading.Condition()
        self._table, self._reader = Records(path), Records(path)
        self._state = State(StreamId(""), 0, 0)
        self._waiting = Waiting(0, 0)
        self._unwritten: list[Hole] = []
        self._acked = 0
        self._first_of_run = 1
        self._clock_offset = 0.0
        self._disk_failed = False
        self._looked_at = float("-inf")
        self._thread = threading.Thread(target=self._write_until_closed, name="outbox", daemon=True)

    @property
    def stream(self) -> StreamId:
        """The id of the stream; another one after a broken file."""
        return self._state.stream

    @property
    def last_seq(self) -> int:
        """The last number given."""
        return self._state.last_seq

    @property
    def freed(self) -> int:
        """Everything through this number was acknowledged and is gone from the disk."""
        return self._state.freed

    @property
    def depth(self) -> int:
        """How many results wait."""
        return self._waiting.count

    @property
    def waiting_bytes(self) -> int:
        """What waits, in bytes."""
        return self._waiting.size

    def oldest_s(self) -> float:
        """Seconds that the oldest result has waited; 0 where nothing waits."""
        oldest = next(iter(self.read(0, 1, 0)), None)
        return 0.0 if oldest is None else max(0.0, self.now() - oldest.at)

    def now(self) -> float:
        """The outbox's own clock, in seconds."""
        return self._monotonic() + self._clock_offset

    def is_late(self, record: Record, after_s: float) -> bool:
        """Whether a result has waited longer than so many seconds, or since before this start."""
        return record.seq < self._first_of_run or self.now() - record.at > after_s

    async def open(self) -> None:
        """Open the file, setting a broken one aside, and start the writer.

        Raises:
            BadInput: the file can neither be used nor made.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open_files()
        except (OSError, sqlite3.DatabaseError) as error:
            raise BadInput(
                f"outbox {self._path}: {error}: free space on the disk or give another state folder"
            ) from None
        self._thread.start()

    def submit(self, drafts: Sequence[Draft]) -> None:
        """Take results. They are accepted when `on_committed` names them."""
        with self._condition:
            room = max(0, MAX_DRAFTS - len(self._drafts))
            self._drafts.extend(drafts[:room])
            self._refused += len(drafts) - len(drafts[:room])
            self._condition.notify()

    def acked(self, through: int) -> None:
        """Everything through this number is committed: free it, in the next commit or within a second."""
        with self._condition:
            self._acked = max(self._acked, through)

    def read(self, after: int, max_count: int, max_bytes: int) -> list[Record]:
        """What follows a number, in order; empty while the disk does not answer."""
        try:
            return self._reader.read(after, max_count, max_bytes)
        except sqlite3.DatabaseError as error:
            log.warning("outbox %s cannot be read: %s", self._path, error)
            return []

    async def close(self) -> None:
        """Commit what was taken and stop. Idempotent."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)
        self._reader.close()

    def _open_files(self) -> None:
        try:
            self._open_once()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                self._table.close()
                raise
            self._set_aside(error)
            self._open_once()

    def _set_aside(self, error: sqlite3.Error) -> None:
        self._table.close()
        aside = set_aside(self._path)
        log.error("outbox %s is broken (%s): set aside as %s, a new stream begins", self._path, error, aside.name)

    def _open_once(self) -> None:
        self._table.open()
        self._state = self._table.prepare(stream_id(self._random(ID_BYTES)), self._limits.policy)
        self._waiting = self._table.waiting()
        self._acked = self._state.freed
        self._first_of_run, self._unwritten = self._state.last_seq + 1, []
        self._clock_offset = max(self.now(), self._table.newest_at()) - self._monotonic()
        self._reader.close()
        self._reader = Records(self._path)
        self._reader.open()

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            with self._condition:
                self._condition.wait_for(lambda: self._drafts or self._refused or self._closing, timeout=TICK_S)
                drafts = [self._drafts.popleft() for _ in range(min(GROUP, len(self._drafts)))]
                refused = 0 if self._drafts else self._refused
                self._refused -= refused
                closing = self._closing and not self._drafts
            self._write_and_survive(drafts, refused)
        self._table.close()

    def _write_and_survive(self, drafts: list[Draft], refused: int) -> None:
        """One commit; a disk that refuses costs results, counted, never the thread."""
        committed: list[Committed] = []
        try:
            self._mend()
            committed = self._commit(drafts, refused)
            self._say(committed)
            self._tend()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                self._report_disk(error)
            elif not committed:
                self._say(self._begin_again(drafts, refused, error))

    def _say(self, committed: Sequence[Committed]) -> None:
        if committed:
            self._loop.call_soon_threadsafe(self._announce, committed)

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
                self._open_files()
            except OSError as error:
                self._report_disk(error)

    def _report_disk(self, error: Exception) -> None:
        if not self._disk_failed:
            log.error("outbox %s cannot be written: %s: results are counted and dropped", self._path, error)
        self._disk_failed = True

    def _announce(self, committed: Sequence[Committed]) -> None:
        self.changed.set()
        self.on_committed(committed)

    def _commit(self, drafts: Sequence[Draft], refused: int) -> list[Committed]:
        """Number the results and write them; where the disk refuses they become holes that are written later."""
        if not (drafts or refused or self._unwritten):
            return []
        first = self._state.last_seq + 1
        events = [
            (draft, seq, encode_result(draft, self._state.stream, seq)) for seq, draft in enumerate(drafts, start=first)
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
        self._state = State(self._state.stream, last, self._state.freed)
        size = sum(len(result.body) for result in results) + OVERHEAD_BYTES * len(results)
        self._waiting = Waiting(self._waiting.count + len(results), self._waiting.size + size)
        return True

    def _on_disk_refused(
        self, results: Sequence[NewResult], gone: Sequence[Hole], last: int, error: sqlite3.Error
    ) -> None:
        self._report_disk(error)
        self.dropped[Reason.DISK_FULL] += len(results)
        self._unwritten = merged([*gone, *(Hole(result.seq, result.seq, Reason.DISK_FULL) for result in results)])
        self._state = State(self._state.stream, last, self._state.freed)

    def _tend(self) -> None:
        """Free what is acknowledged, then keep the bounds."""
        acked = self._acked
        if acked > self._state.last_seq:
            self._begin_new_stream(acked)
        elif acked > self._state.freed:
            self._forget(self._table.free(acked))
            self._state = State(self._state.stream, self._state.last_seq, acked)
        excess = self._waiting.size - self._limits.max_bytes
        if excess > 0:
            self._count_gone(self._table.give_up_bytes(excess, self._limits.policy, self.now()), Reason.OUTBOX_FULL)
        if self.now() - self._looked_at >= TICK_S:
            self._looked_at = self.now()
            oldest = self._looked_at - self._limits.max_age_s
            self._count_gone(self._table.give_up_older(oldest, self._looked_at), Reason.TOO_OLD)

    def _count_gone(self, gone: Sequence[Candidate], reason: Reason) -> None:
        self.dropped[reason] += len(gone)
        self._forget(Waiting(len(gone), sum(candidate.size for candidate in gone)))

    def _forget(self, less: Waiting) -> None:
        self._waiting = Waiting(self._waiting.count - less.count, self._waiting.size - less.size)

    def _begin_new_stream(self, acked: int) -> None:
        """The collector has more of this stream than is here: the disk was cloned, or has lost commits."""
        log.error(
            "outbox %s: results through %d are acknowledged but the last one here is %d: the disk was cloned, restored"
            " or lost what it had confirmed; a new stream begins",
            self._path, acked, self._state.last_seq,
        )  # fmt: skip
        fresh = stream_id(self._random(ID_BYTES))
        self._table.begin_stream(fresh)
        self._state, self._acked, self._waiting = State(fresh, 0, 0), 0, Waiting(0, 0)
        self._first_of_run, self._unwritten = 1, []
