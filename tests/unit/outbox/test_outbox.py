"""The outbox on a real file: numbers, commits, bounds, broken files, a disk that refuses."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.config import OutboxLimits
from edge_node.errors import BadInput
from edge_node.outbox import queue
from edge_node.outbox.events import Draft
from edge_node.outbox.ledger import Committed
from edge_node.outbox.policy import OVERHEAD_BYTES, Hole, Reason
from edge_node.outbox.queue import Outbox
from edge_node.outbox.records import NewResult, Records
from tests.durable.node import CONTEXT, draft
from tests.waiting import until

ALL = 10**9
POLICIES = ("drop_oldest", "drop_newest", "drop_lowest_priority")


class Watched:
    """An outbox whose commits are kept, and awaited."""

    def __init__(self, path: Path, limits: OutboxLimits | None = None) -> None:
        self.outbox = Outbox(path, limits or OutboxLimits())
        self.committed: list[Committed] = []
        self.outbox.on_committed = self.committed.extend

    async def __aenter__(self) -> "Watched":
        await self.outbox.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.outbox.close()

    async def take(self, drafts: Sequence[Draft]) -> None:
        """Submit and wait for the commit."""
        wanted = len(self.committed) + len(drafts)
        self.outbox.submit(drafts)
        await until(lambda: len(self.committed) >= wanted)

    def waiting(self) -> list[int]:
        return [record.seq for record in self.outbox.read(0, ALL, ALL) if record.reason is None]

    def gone(self) -> dict[Reason, int]:
        counted: dict[Reason, int] = {}
        for record in self.outbox.read(0, ALL, ALL):
            if record.reason is not None:
                counted[record.reason] = counted.get(record.reason, 0) + record.seq - record.first + 1
        return counted


def _raise(error: Exception) -> None:
    raise error


def drafts(count: int, priority: int = 0) -> list[Draft]:
    return [draft(f"r-{number}", replace(CONTEXT, priority=priority)) for number in range(count)]


async def test_results_are_numbered_from_one_without_holes(tmp_path: Path) -> None:
    async with Watched(tmp_path / "o.db") as watched:
        await watched.take(drafts(3))
        await watched.take(drafts(2))
        assert [result.seq for result in watched.committed] == [1, 2, 3, 4, 5]
        assert [record.body for record in watched.outbox.read(0, ALL, ALL)] == [r.event for r in watched.committed]
        assert watched.outbox.depth == 5


async def test_numbers_and_stream_go_on_after_a_restart(tmp_path: Path) -> None:
    async with Watched(tmp_path / "o.db") as first:
        await first.take(drafts(3))
        first.outbox.acked(3)
        stream = first.outbox.stream
    async with Watched(tmp_path / "o.db") as second:
        assert (second.outbox.stream, second.outbox.last_seq, second.outbox.freed) == (stream, 3, 3)
        await second.take(drafts(1))
        assert second.committed[0].seq == 4


async def test_what_is_acknowledged_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "TICK_S", 0.01)
    async with Watched(tmp_path / "o.db") as watched:
        await watched.take(drafts(5))
        watched.outbox.acked(3)
        await until(lambda: watched.outbox.freed == 3)
        assert watched.waiting() == [4, 5]
        assert watched.outbox.depth == 2
        sizes = [len(record.body) + OVERHEAD_BYTES for record in watched.outbox.read(0, ALL, ALL)]
        assert watched.outbox.waiting_bytes == sum(sizes)


@pytest.mark.parametrize("policy", POLICIES)
async def test_ten_times_the_bound_is_offered_and_every_drop_is_counted(tmp_path: Path, policy: str) -> None:
    limits = OutboxLimits(max_bytes=20_000, policy=policy)  # type: ignore[arg-type]
    async with Watched(tmp_path / "o.db", limits) as watched:
        for priority in (1, 0, 2, 0, 1):
            await watched.take(drafts(40, priority))
        await until(lambda: watched.outbox.waiting_bytes <= 20_000)
        waiting, gone = watched.waiting(), watched.gone()
        assert len(waiting) + gone[Reason.OUTBOX_FULL] == 200
        assert watched.outbox.dropped[Reason.OUTBOX_FULL] == gone[Reason.OUTBOX_FULL]
        assert 15 <= len(waiting) < 30
        expected = {"drop_oldest": range(150, 201), "drop_newest": range(1, 50), "drop_lowest_priority": range(81, 121)}
        assert set(waiting) <= set(expected[policy])


async def test_what_is_too_old_goes_by_the_outboxs_own_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "TICK_S", 0.01)
    now = [1000.0]
    watched = Watched(tmp_path / "o.db")
    watched.outbox = Outbox(tmp_path / "o.db", OutboxLimits(max_age_s=60.0), monotonic=lambda: now[0])
    watched.outbox.on_committed = watched.committed.extend
    async with watched:
        await watched.take(drafts(2))
        now[0] += 50
        await watched.take(drafts(1))
        now[0] += 20
        await until(lambda: watched.outbox.dropped[Reason.TOO_OLD] == 2)
        assert watched.waiting() == [3]
        assert watched.outbox.oldest_s() == pytest.approx(20, abs=1) or watched.outbox.oldest_s() < 21


async def test_a_result_larger_than_a_message_is_a_hole(tmp_path: Path) -> None:
    async with Watched(tmp_path / "o.db") as watched:
        watched.outbox.submit([draft("x" * 200_000)])
        await watched.take(drafts(1))
        assert watched.waiting() == [2]
        assert watched.gone() == {Reason.TOO_LARGE: 1}


async def test_more_than_memory_holds_is_refused_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_DRAFTS", 10)
    async with Watched(tmp_path / "o.db") as watched:
        watched.outbox.submit(drafts(25))
        await until(lambda: watched.outbox.last_seq == 25)
        assert watched.waiting() == list(range(1, 11))
        assert watched.gone() == {Reason.OVERLOADED: 15}


@pytest.mark.parametrize("content", [b"not a database" * 400, b"SQLite format 3\0" + b"\xff" * 8000])
async def test_a_broken_file_is_set_aside_and_a_new_stream_begins(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "o.db").write_bytes(content)
    async with Watched(tmp_path / "o.db") as watched:
        await watched.take(drafts(1))
        assert watched.committed[0].seq == 1
    assert (tmp_path / "o.db.broken-1").read_bytes() == content
    assert "set aside as o.db.broken-1" in caplog.text


async def test_a_file_that_breaks_in_use_is_set_aside_and_nothing_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Watched(tmp_path / "o.db") as watched:
        await watched.take(drafts(3))
        stream = watched.outbox.stream
        broken = sqlite3.DatabaseError("database disk image is malformed")
        broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        errors = [broken]
        append = Records.append
        monkeypatch.setattr(Records, "append", lambda *given: _raise(errors.pop()) if errors else append(*given))
        await watched.take(drafts(1))
        assert watched.outbox.stream != stream
        assert watched.committed[-1].stored
        assert watched.waiting() == [1]
    assert (tmp_path / "o.db.broken-1").exists()


async def test_a_disk_that_refuses_costs_counted_results_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "TICK_S", 0.01)
    async with Watched(tmp_path / "o.db") as watched:
        await watched.take(drafts(2))
        # the file may not grow: SQLite's own disk full
        watched.outbox._ledger._table._sql.execute("PRAGMA max_page_count = 1")
        while not watched.outbox.dropped[Reason.DISK_FULL]:
            await watched.take(drafts(1))
        lost = watched.committed[-1]
        assert not lost.stored
        watched.outbox._ledger._table._sql.execute("PRAGMA max_page_count = 100000")
        await until(lambda: watched.gone().get(Reason.DISK_FULL, 0) > 0)
        await watched.take(drafts(1))
        dropped = watched.outbox.dropped[Reason.DISK_FULL]
        assert watched.gone() == {Reason.DISK_FULL: dropped}
        assert len(watched.waiting()) + dropped == watched.outbox.last_seq


async def test_an_acknowledgement_beyond_the_last_number_begins_a_new_stream(tmp_path: Path) -> None:
    async with Watched(tmp_path / "o.db") as watched:
        await watched.take(drafts(2))
        stream = watched.outbox.stream
        watched.outbox.acked(50)
        watched.outbox.submit(drafts(1))
        await until(lambda: watched.outbox.stream != stream)
        await watched.take(drafts(1))
        assert json.loads(watched.committed[-1].event)["data"]["stream"] == watched.outbox.stream


async def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"outbox .*free space on the disk or give another state folder"):
        await Outbox(tmp_path / "file" / "o.db", OutboxLimits()).open()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, 3), min_size=1, max_size=6)),
        st.tuples(st.just("drop"), st.integers(1, 400)),
        st.tuples(st.just("free"), st.integers(0, 60)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from(POLICIES))
def test_the_file_holds_what_a_plain_model_holds(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[str, Any]], policy: str
) -> None:
    records = Records(tmp_path_factory.mktemp("outbox") / "o.db")
    records.open()
    records.prepare("5" * 32, policy)  # type: ignore[arg-type]
    waiting: dict[int, int] = {}
    gone: set[int] = set()
    last = 0
    for what, value in plan:
        if what == "append":
            new = [NewResult(last + place, priority, b"x" * 100) for place, priority in enumerate(value, start=1)]
            records.append(new, [], last + len(new), at=0.0)
            waiting |= {result.seq: result.priority for result in new}
            last += len(new)
        elif what == "drop":
            went = [candidate.seq for candidate in records.give_up_bytes(value, policy, at=0.0)]
            order = {"drop_oldest": sorted(waiting), "drop_newest": sorted(waiting, reverse=True)}
            by_priority = sorted(waiting, key=lambda seq: (waiting[seq], seq))
            assert went == order.get(policy, by_priority)[: -(-value // (100 + OVERHEAD_BYTES))]
            gone |= set(went)
            waiting = {seq: priority for seq, priority in waiting.items() if seq not in gone}
        else:
            records.free(value)
            waiting = {seq: priority for seq, priority in waiting.items() if seq > value}
        freed = records.state().freed
        rows = records.read(0, ALL, ALL)
        assert [row.seq for row in rows if row.reason is None] == sorted(waiting)
        covered = {seq for row in rows if row.reason for seq in range(row.first, row.seq + 1)}
        assert {seq for seq in covered if seq > freed} == {seq for seq in gone if seq > freed}
        assert not any(a.reason and b.reason and a.seq + 1 == b.first for a, b in pairwise(rows))
    records.close()


def test_holes_of_another_reason_stay_apart(tmp_path: Path) -> None:
    records = Records(tmp_path / "o.db")
    records.open()
    records.prepare("5" * 32, "drop_oldest")  # type: ignore[arg-type]
    records.append([], [Hole(1, 2, Reason.DISK_FULL), Hole(3, 3, Reason.TOO_LARGE)], 3, at=0.0)
    records.append([], [Hole(4, 9, Reason.TOO_LARGE)], 9, at=0.0)
    rows = [(row.first, row.seq, row.reason) for row in records.read(0, ALL, ALL)]
    assert rows == [(1, 2, Reason.DISK_FULL), (3, 9, Reason.TOO_LARGE)]
    records.close()
