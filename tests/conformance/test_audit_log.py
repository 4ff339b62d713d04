"""One suite for the audit log on SQLite and PostgreSQL, and for the calls that write it."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from coordinator.audit.acting import Pending, acting
from coordinator.audit.chain import Act, Entry, Head, checked
from coordinator.audit.log import AuditLog
from coordinator.db.control import ControlStore

NOW = datetime(2026, 5, 1, 10, 0, 0, 120000, UTC)
ACT = Act("admin:alice", "node.rename", "cam-3", {"name": "till-3"})


@pytest.fixture
def log(store: ControlStore) -> AuditLog:
    """A log that is empty."""
    return AuditLog(store, lambda: NOW)


def entries(log: AuditLog) -> list[Entry]:
    """All entries; they must be in order."""
    found = list(checked(log.entries(0, 0), [log.head()] if log.head() != Head() else []))
    assert all(isinstance(one, Entry) for one in found)
    return [one for one in found if isinstance(one, Entry)]


def test_what_is_recorded_is_read_back_and_chained(log: AuditLog) -> None:
    for _ in range(3):
        log.record(ACT)
    assert [entry.seq for entry in entries(log)] == [1, 2, 3]
    assert [entry.seq for entry in log.entries(1, 1)] == [2]


def test_writers_that_come_together_make_one_chain(log: AuditLog) -> None:
    def ten() -> None:
        for _ in range(10):
            log.record(ACT)

    threads = [threading.Thread(target=ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(log)) == 40


async def test_an_act_commits_with_the_transaction_that_does_it(store: ControlStore, log: AuditLog) -> None:
    acting.set(Pending(ACT, NOW))
    await asyncio.to_thread(_raise_epoch, store, 7)
    await asyncio.to_thread(_raise_epoch, store, 8)
    assert [entry.action for entry in entries(log)] == ["node.rename"]


async def test_an_act_that_is_rolled_back_leaves_no_entry(store: ControlStore, log: AuditLog) -> None:
    acting.set(Pending(ACT, NOW))
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(_raise_epoch, store, 0)
    assert log.head() == Head()


def test_what_is_changed_in_the_database_is_found(store: ControlStore, log: AuditLog) -> None:
    for _ in range(3):
        log.record(ACT)
    with store.write() as tx:
        tx._connection.execute(sa.text("UPDATE audit SET actor = 'nobody' WHERE seq = 2"))
    last = list(checked(log.entries(0, 0)))[-1]
    assert last == "entry 2 was changed: its content does not have its hash"


def _raise_epoch(store: ControlStore, epoch: int) -> None:
    with store.write() as tx:
        tx.raise_epoch(epoch)
        assert 1 / epoch
