"""Rows of what publishers signed: releases, downgrade permits, trust roots."""

import sqlalchemy as sa

from coordinator.db.tables import downgrades, releases, trust_roots, versions
from coordinator.db.upsert import upsert
from protos.digest import Digest


class ReleaseRows:
    """`registry.records.Releases` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def release(self, model: str, version: int) -> bytes | None:
        """The signed release of a version."""
        query = sa.select(releases.c.envelope).where(releases.c.model == model, releases.c.version == version)
        found = self._connection.execute(query).scalar_one_or_none()
        return None if found is None else bytes(found)

    def put_release(self, model: str, version: int, envelope: bytes) -> None:
        """Keep the release of a version."""
        upsert(self._connection, releases, {"model": model, "version": version, "envelope": envelope})

    def put_downgrade(self, model: str, version: int, envelope: bytes) -> None:
        """Keep the permit to go back to a version."""
        upsert(self._connection, downgrades, {"model": model, "version": version, "envelope": envelope})

    def of_bundle(self, digest: Digest) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The releases and the permits of the versions that are this bundle."""
        return self._of_bundle(releases, digest), self._of_bundle(downgrades, digest)

    def _of_bundle(self, table: sa.Table, digest: Digest) -> tuple[bytes, ...]:
        same = sa.and_(versions.c.model == table.c.model, versions.c.version == table.c.version)
        query = sa.select(table.c.envelope).join_from(table, versions, same).where(versions.c.digest == digest)
        found = self._connection.execute(query.order_by(table.c.version.desc())).scalars()
        return tuple(bytes(envelope) for envelope in found)


class RootRows:
    """`registry.records.Roots` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[bytes, ...]:
        """The envelopes of all roots, the oldest first."""
        query = sa.select(trust_roots.c.envelope).order_by(trust_roots.c.version)
        return tuple(bytes(envelope) for envelope in self._connection.execute(query).scalars())

    def newest_number(self) -> int:
        """The number of the newest root; 0 where there is none."""
        return int(self._connection.execute(sa.select(sa.func.max(trust_roots.c.version))).scalar() or 0)

    def add(self, version: int, envelope: bytes) -> None:
        """The next root."""
        self._connection.execute(sa.insert(trust_roots).values(version=version, envelope=envelope))
