"""Rows of join tokens, of certificates, and of principals that were revoked."""

from datetime import datetime

import msgspec
import sqlalchemy as sa

from coordinator.db.tables import certificates, join_tokens, revoked
from coordinator.db.upsert import upsert
from coordinator.fleet.records import IssuedCertificate, JoinTokenRecord, Revocation
from protos.identity import NodeId


class JoinTokenRows:
    """`fleet.store.JoinTokens` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[JoinTokenRecord, ...]:
        """All tokens, the newest first."""
        query = sa.select(join_tokens).order_by(join_tokens.c.created_at.desc(), join_tokens.c.digest)
        return tuple(_token(row) for row in self._connection.execute(query).mappings())

    def get(self, digest: str) -> JoinTokenRecord | None:
        """One token by the digest of its secret."""
        return self._one(join_tokens.c.digest == digest)

    def of_node(self, node: NodeId) -> JoinTokenRecord | None:
        """The token that a node used."""
        return self._one(join_tokens.c.node == node)

    def add(self, token: JoinTokenRecord) -> None:
        """A new token."""
        labels = msgspec.json.encode(token.labels).decode()
        self._connection.execute(sa.insert(join_tokens).values({**vars(token), "labels": labels}))

    def use(self, digest: str, node: NodeId, at: datetime) -> bool:
        """Mark a token as used by a node; False where somebody was first."""
        unused = sa.and_(join_tokens.c.digest == digest, join_tokens.c.used_at.is_(None))
        done = self._connection.execute(sa.update(join_tokens).where(unused).values(used_at=at, node=node))
        return done.rowcount == 1

    def remove(self, digest: str) -> None:
        """Delete a token."""
        self._connection.execute(sa.delete(join_tokens).where(join_tokens.c.digest == digest))

    def _one(self, which: sa.ColumnElement[bool]) -> JoinTokenRecord | None:
        row = self._connection.execute(sa.select(join_tokens).where(which)).mappings().first()
        return None if row is None else _token(row)


class CertificateRows:
    """`fleet.store.Certificates` on a connection: the newest of each principal."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[IssuedCertificate, ...]:
        """All, by principal."""
        query = sa.select(certificates).order_by(certificates.c.principal)
        return tuple(_certificate(row) for row in self._connection.execute(query).mappings())

    def get(self, principal: str) -> IssuedCertificate | None:
        """The newest of a principal."""
        query = sa.select(certificates).where(certificates.c.principal == principal)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _certificate(row)

    def put(self, certificate: IssuedCertificate) -> None:
        """Remember a principal's newest."""
        upsert(self._connection, certificates, dict(vars(certificate)))


class RevokedRows:
    """`fleet.store.Revoked` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[Revocation, ...]:
        """All, the newest first."""
        query = sa.select(revoked).order_by(revoked.c.at.desc(), revoked.c.principal)
        return tuple(Revocation(**row) for row in self._connection.execute(query).mappings())

    def get(self, principal: str) -> Revocation | None:
        """A principal's revocation."""
        query = sa.select(revoked).where(revoked.c.principal == principal)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else Revocation(**row)

    def add(self, revocation: Revocation) -> None:
        """Revoke a principal, for good; the first time counts."""
        if self.get(revocation.principal) is None:
            self._connection.execute(sa.insert(revoked).values(vars(revocation)))


def _token(row: sa.RowMapping) -> JoinTokenRecord:
    return JoinTokenRecord(**{**row, "labels": msgspec.json.decode(row["labels"], type=dict[str, str])})


def _certificate(row: sa.RowMapping) -> IssuedCertificate:
    return IssuedCertificate(**{**row, "pem": bytes(row["pem"])})
