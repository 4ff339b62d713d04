"""Rows of deployments."""

import msgspec
import sqlalchemy as sa

from coordinator.db.tables import deployments, versions
from coordinator.db.upsert import upsert
from coordinator.fleet.records import Applied
from protos.deployment import Deployment, model_version


class DeploymentRows:
    """`fleet.store.Deployments` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[Applied, ...]:
        """All deployments, the oldest first."""
        found = self._connection.execute(_SELECT).mappings()
        return tuple(sorted((_applied(row) for row in found), key=lambda one: (one.created_at, one.spec.name)))

    def get(self, name: str) -> Applied | None:
        """One deployment."""
        row = self._connection.execute(_SELECT.where(deployments.c.name == name)).mappings().one_or_none()
        return None if row is None else _applied(row)

    def put(self, deployment: Applied) -> None:
        """Store a deployment, new or known."""
        model, version = model_version(deployment.spec.model)
        values = {
            "name": deployment.spec.name,
            "model": model,
            "version": version,
            "spec": msgspec.json.encode(deployment.spec).decode(),
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
        }
        upsert(self._connection, deployments, values)

    def remove(self, name: str) -> None:
        """Delete a deployment."""
        self._connection.execute(sa.delete(deployments).where(deployments.c.name == name))


_SELECT = sa.select(
    deployments.c.spec, deployments.c.created_at, deployments.c.updated_at, versions.c.digest
).join_from(
    deployments, versions, sa.and_(versions.c.model == deployments.c.model, versions.c.version == deployments.c.version)
)


def _applied(row: sa.RowMapping) -> Applied:
    spec = msgspec.json.decode(row["spec"], type=Deployment)
    return Applied(spec, row["digest"], row["created_at"], row["updated_at"])
