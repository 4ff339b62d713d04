"""Rows of models and their versions."""

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from coordinator.db.portions import portions
from coordinator.db.tables import deployments, models, rollouts, version_files, versions
from coordinator.db.upsert import upsert
from coordinator.registry.records import Version
from protos.digest import Digest
from protos.oci import BundleFile


class VersionRows:
    """`registry.records.Versions` and `fleet.store.Releases` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self, model: str | None = None) -> tuple[Version, ...]:
        """All versions, or those of one model, by model and number."""
        query = sa.select(versions).order_by(versions.c.model, versions.c.version)
        return self._versions(query.where(versions.c.model == model) if model else query)

    def get(self, model: str, version: int) -> Version | None:
        """One version; the newest for 0."""
        query = sa.select(versions).where(versions.c.model == model).order_by(versions.c.version.desc()).limit(1)
        found = self._versions(query.where(versions.c.version == version) if version else query)
        return found[0] if found else None

    def with_digest(self, model: str, digest: Digest) -> Version | None:
        """The version of the model that is this bundle."""
        found = self._versions(sa.select(versions).where(versions.c.model == model, versions.c.digest == digest))
        return found[0] if found else None

    def is_bundle(self, digest: Digest) -> bool:
        """Whether some version is this bundle."""
        query = sa.select(versions.c.digest).where(versions.c.digest == digest).limit(1)
        return self._connection.execute(query).scalar_one_or_none() is not None

    def take_number(self, model: str, wanted: int = 0) -> int | None:
        """The next number of the model, or the wanted one where it is above all others; None where it is not. Never
        one that was given before, deleted or not.
        """
        last = self._connection.execute(sa.select(models.c.last_version).where(models.c.name == model)).scalar() or 0
        number = wanted or last + 1
        if number <= last:
            return None
        upsert(self._connection, models, {"name": model, "last_version": number})
        return int(number)

    def add(self, version: Version) -> None:
        """Store a version."""
        self._connection.execute(
            sa.insert(versions).values(
                model=version.model,
                version=version.version,
                digest=version.digest,
                task=version.task,
                size=version.size,
                created_at=version.created_at,
            )
        )
        rows = [
            {"model": version.model, "version": version.version, "path": f.path, "digest": f.digest, "size": f.size}
            for f in version.files
        ]
        self._connection.execute(sa.insert(version_files), rows)

    def remove(self, model: str, version: int) -> None:
        """Delete a version."""
        self._connection.execute(sa.delete(versions).where(versions.c.model == model, versions.c.version == version))

    def used_by(self, model: str, version: int) -> tuple[str, ...]:
        """The names of the deployments that use it, or are being moved to it, sorted."""
        applied = sa.select(deployments.c.name).where(deployments.c.model == model, deployments.c.version == version)
        moving = sa.select(rollouts.c.deployment).where(
            rollouts.c.model == model, rollouts.c.version == version, rollouts.c.ended.is_(False)
        )
        return tuple(sorted(self._connection.execute(sa.union(applied, moving)).scalars()))

    def referenced(self, digests: Iterable[Digest]) -> Collection[Digest]:
        """Those of the digests that some version, or a file of one, has."""
        found: set[Digest] = set()
        for some in portions(digests):
            query = sa.union(
                sa.select(versions.c.digest).where(versions.c.digest.in_(some)),
                sa.select(version_files.c.digest).where(version_files.c.digest.in_(some)),
            )
            found.update(map(Digest, self._connection.execute(query).scalars()))
        return found

    def digest_of(self, model: str, version: int) -> Digest | None:
        """The digest of a version's bundle, or None where there is no such version."""
        query = sa.select(versions.c.digest).where(versions.c.model == model, versions.c.version == version)
        found = self._connection.execute(query).scalar_one_or_none()
        return None if found is None else Digest(found)

    def _versions(self, query: sa.Select[tuple[object, ...]]) -> tuple[Version, ...]:
        return tuple(self._version(row) for row in self._connection.execute(query).mappings())

    def _version(self, row: sa.RowMapping) -> Version:
        query = sa.select(version_files).where(
            version_files.c.model == row["model"], version_files.c.version == row["version"]
        )
        files = self._connection.execute(query.order_by(version_files.c.path)).mappings()
        return Version(
            model=row["model"],
            version=row["version"],
            digest=row["digest"],
            task=row["task"],
            size=row["size"],
            created_at=row["created_at"],
            files=tuple(BundleFile(file["path"], file["digest"], file["size"]) for file in files),
        )
