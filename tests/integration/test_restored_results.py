"""A results database restored from an older copy, while the nodes have freed what was acknowledged since."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.db.engine import sqlite_url
from coordinator.db.results_database import ResultsDatabase, open_results
from coordinator.db.results_tables import alarms, holes
from coordinator.results.ingest import Collector
from coordinator.results.query import Count, Query
from coordinator.results.tail import TailHub
from edge_node.config import OutboxLimits
from edge_node.outbox import sending
from edge_node.outbox.acked import accept_acked
from edge_node.outbox.forwarder import Forwarder
from edge_node.outbox.queue import Outbox
from protos.envelope import public_bytes
from tests.durable.node import DURABLE, NODE, TOPICS, draft
from tests.waiting import until

KEY = Ed25519PrivateKey.generate()


class Wire:
    """What a broker does between the real collector and the real forwarder."""

    def __init__(self) -> None:
        self.collector: Collector | None = None
        self.forwarder: Forwarder | None = None
        self.loop = asyncio.get_running_loop()

    def to_collector(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """A node's message; lost while no collector listens."""
        if self.collector is not None:
            self.collector.receive(topic, payload, retain)
        return True

    def to_node(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """An acknowledgement."""
        self.loop.call_soon_threadsafe(self._acked, payload)
        return True

    def _acked(self, payload: bytes) -> None:
        assert self.forwarder is not None
        through = accept_acked(payload, frozenset({public_bytes(KEY)}), self.forwarder._outbox.stream)
        assert through is not None
        self.forwarder.acked(through)

    @asynccontextmanager
    async def collecting(self, file: Path) -> AsyncIterator[ResultsDatabase]:
        """A collector on the database in a file."""
        database = open_results(sqlite_url(file), keep_days=0)
        self.collector = Collector(database.repository, self.to_node, TOPICS, KEY, TailHub())
        self.collector.start()
        yield database
        await asyncio.to_thread(self.collector.stop)
        self.collector = None
        database.close()


@asynccontextmanager
async def sending_from(file: Path, wire: Wire) -> AsyncIterator[Outbox]:
    """A node's outbox and its forwarder."""
    outbox = Outbox(file, OutboxLimits())
    await outbox.open()
    wire.forwarder = Forwarder(outbox, wire.to_collector, node=NODE, topic=DURABLE)
    task = asyncio.create_task(wire.forwarder.run())
    yield outbox
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await outbox.close()


@pytest.mark.parametrize("through", [0, 4])
async def test_a_stream_goes_on_behind_one_hole_where_results_were_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: int
) -> None:
    monkeypatch.setattr(sending, "PATIENCE_S", 0.05)
    file, backup, wire = tmp_path / "results.db", tmp_path / "backup.db", Wire()
    open_results(sqlite_url(file), keep_days=0).close()
    shutil.copy(file, backup)
    async with sending_from(tmp_path / "outbox.db", wire) as outbox:
        async with wire.collecting(file):
            outbox.submit([draft(f"r-{number}") for number in range(through)])
            await until(lambda: outbox.freed == through)
        shutil.copy(file, backup)
        async with wire.collecting(file):
            outbox.submit([draft(f"r-{number}") for number in range(through, 10)])
            await until(lambda: outbox.freed == 10)
        shutil.copy(backup, file)
        async with wire.collecting(file) as restored:
            outbox.submit([draft("behind"), draft("and on")])
            await until(lambda: outbox.freed == 12)
            assert restored.query.count(Query()) == Count(results=through + 2, dropped=0)
            with restored.engine.connect() as connection:
                (hole,) = connection.execute(sa.select(holes)).all()
                assert connection.execute(sa.select(alarms)).all() == []
            assert (hole.first, hole.last, hole.reason) == (through + 1, 10, "freed")
            assert hole.arrived_at <= datetime.now(UTC)
            assert wire.collector is not None
            assert wire.collector.counts["dropped"] == 10 - through
