"""The control data as transactions: what the registry and the fleet see of the database.

with store.write() as tx:
    tx.nodes.put(node)
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from coordinator.audit.acting import acting
from coordinator.audit.log import say
from coordinator.db.access import CertificateRows, JoinTokenRows, RevokedRows
from coordinator.db.audit import AuditRows
from coordinator.db.deployments import DeploymentRows
from coordinator.db.engine import answering, reading, writing
from coordinator.db.migrate import CONTROL, upgrade
from coordinator.db.models import VersionRows
from coordinator.db.nodes import DocumentRows, NodeRows
from coordinator.db.releases import ReleaseRows, RootRows
from coordinator.db.retained import RetainedRows
from coordinator.db.rollouts import LeaseRows, OverrideRows, RolloutRows
from coordinator.db.tables import settings
from coordinator.db.traffic import TrafficRows


class Transaction:
    """The nouns of the control data on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.versions = VersionRows(connection)
        self.releases = ReleaseRows(connection)
        self.roots = RootRows(connection)
        self.nodes = NodeRows(connection)
        self.documents = DocumentRows(connection)
        self.deployments = DeploymentRows(connection)
        self.retained = RetainedRows(connection)
        self.join_tokens = JoinTokenRows(connection)
        self.certificates = CertificateRows(connection)
        self.revoked = RevokedRows(connection)
        self.audit = AuditRows(connection)
        self.traffic = TrafficRows(connection)
        self.rollouts = RolloutRows(connection)
        self.overrides = OverrideRows(connection)
        self.leases = LeaseRows(connection)

    def epoch(self) -> int:
        """The epoch of the documents issued now."""
        return int(self._connection.execute(sa.select(settings.c.epoch)).scalar_one())

    def raise_epoch(self, epoch: int) -> None:
        """Go on in a higher epoch."""
        self._connection.execute(sa.update(settings).values(epoch=epoch))


class ControlStore:
    """Transactions on the control data. Writers follow one another, also those of other processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Bring the schema up to date.

        Raises:
            Refused: the database was written by a newer version.
        """
        upgrade(self._engine, CONTROL)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that only reads."""
        with answering(self._engine), reading(self._engine) as connection:
            yield Transaction(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that writes; it waits for the one before it. The act of the call under way commits with it."""
        with answering(self._engine), writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(settings.c.only).with_for_update())
            transaction = Transaction(connection)
            yield transaction
            _record(transaction)
        for entry in transaction.audit.appended:
            say(entry)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _record(transaction: Transaction) -> None:
    """Put the act of the call under way into the log, once."""
    pending = acting.get()
    if pending is not None and not pending.recorded:
        pending.recorded = True
        transaction.audit.append(pending.act, pending.at)
