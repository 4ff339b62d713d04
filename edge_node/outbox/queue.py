"""The outbox: takes results from any thread, has them numbered and kept on disk until the collector has committed
them, and says when each is safe.

    outbox = Outbox(state_dir / "outbox.db", limits)
    outbox.on_committed = publish_live          # called on the event loop, once per group commit
    await outbox.open()
    outbox.submit([Draft(observation, context)])   # any thread, never blocks

One thread writes. It commits as soon as it is idle, and what has come in the meantime goes together (a natural group
commit: under load the disk's own speed makes the groups; they are capped, so that a result waits milliseconds). What
stands on the disk, and what becomes of it when that fails: `ledger.py`.
"""

import asyncio
import secrets
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_node.config import OutboxLimits
from edge_node.errors import BadInput
from edge_node.outbox.events import Draft
from edge_node.outbox.ledger import Committed, Ledger
from edge_node.outbox.policy import Reason
from edge_node.outbox.records import Record
from protos.identity import StreamId

MAX_DRAFTS = 20_000
"""Results in memory that no commit has taken yet; beyond it the newest are refused and counted."""
GROUP = 2_000
"""Results in one commit."""
TICK_S = 1.0
"""How often the writer looks at ages, acknowledgements and a disk that was full."""


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
        self._path = path
        self._ledger = Ledger(path, limits, random, monotonic)
        self._drafts: deque[Draft] = deque()
        self._refused = 0
        self._closing = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._write_until_closed, name="outbox", daemon=True)

    @property
    def stream(self) -> StreamId:
        """The id of the stream; another one after a broken file."""
        return self._ledger.state.stream

    @property
    def last_seq(self) -> int:
        """The last number given."""
        return self._ledger.state.last_seq

    @property
    def freed(self) -> int:
        """Everything through this number was acknowledged and is gone from the disk."""
        return self._ledger.state.freed

    @property
    def depth(self) -> int:
        """How many results wait."""
        return self._ledger.waiting.count

    @property
    def waiting_bytes(self) -> int:
        """What waits, in bytes."""
        return self._ledger.waiting.size

    @property
    def dropped(self) -> Counter[Reason]:
        """Results given up since the start, by reason."""
        return self._ledger.dropped

    def oldest_s(self) -> float:
        """Seconds that the oldest result has waited; 0 where nothing waits."""
        oldest = next(iter(self.read(0, 1, 0)), None)
        return 0.0 if oldest is None else max(0.0, self.now() - oldest.at)

    def now(self) -> float:
        """The outbox's own clock, in seconds."""
        return self._ledger.now()

    def is_late(self, record: Record, after_s: float) -> bool:
        """Whether a result has waited longer than so many seconds, or since before this start."""
        return self._ledger.is_late(record, after_s)

    async def open(self) -> None:
        """Open the file, setting a broken one aside, and start the writer.

        Raises:
            BadInput: the file can neither be used nor made.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._ledger.open()
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
            self._ledger.acked(through)

    def read(self, after: int, max_count: int, max_bytes: int) -> list[Record]:
        """What follows a number, in order; empty while the disk does not answer."""
        return self._ledger.read(after, max_count, max_bytes)

    async def close(self) -> None:
        """Commit what was taken and stop. Idempotent."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)
        self._ledger.end_reading()

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            with self._condition:
                self._condition.wait_for(lambda: self._drafts or self._refused or self._closing, timeout=TICK_S)
                drafts = [self._drafts.popleft() for _ in range(min(GROUP, len(self._drafts)))]
                refused = 0 if self._drafts else self._refused
                self._refused -= refused
                closing = self._closing and not self._drafts
            committed = self._ledger.write(drafts, refused)
            if committed:
                self._loop.call_soon_threadsafe(self._announce, committed)
            self._ledger.tend(is_idle=not committed)
        self._ledger.end_writing()

    def _announce(self, committed: Sequence[Committed]) -> None:
        self.changed.set()
        self.on_committed(committed)
