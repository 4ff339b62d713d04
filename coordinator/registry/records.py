"""What the registry keeps of a model version, and the seam to the database that keeps it."""

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protos.digest import Digest
from protos.oci import BundleFile


@dataclass(frozen=True)
class Version:
    """One version of a model: the bundle that it is, by digest; sizes in bytes."""

    model: str
    version: int
    digest: Digest
    task: str
    size: int
    created_at: datetime
    files: tuple[BundleFile, ...]


class Versions(Protocol):
    """The rows of model versions, inside a transaction."""

    def all(self, model: str | None = None) -> tuple[Version, ...]:
        """All versions, or those of one model, by model and number."""

    def get(self, model: str, version: int) -> Version | None:
        """One version; the newest for 0."""

    def with_digest(self, model: str, digest: Digest) -> Version | None:
        """The version of the model that is this bundle."""

    def is_bundle(self, digest: Digest) -> bool:
        """Whether some version is this bundle."""

    def take_number(self, model: str, wanted: int = 0) -> int | None:
        """The next number of the model, or the wanted one where it is above all others; None where it is not. Never
        one that was given before, deleted or not.
        """

    def add(self, version: Version) -> None:
        """Store a version."""

    def remove(self, model: str, version: int) -> None:
        """Delete a version."""

    def used_by(self, model: str, version: int) -> tuple[str, ...]:
        """The names of the deployments that use it, sorted."""

    def referenced(self, digests: Iterable[Digest]) -> Collection[Digest]:
        """Those of the digests that some version, or a file of one, has."""


class Releases(Protocol):
    """The rows of what publishers signed: one release and one downgrade permit for each version."""

    def release(self, model: str, version: int) -> bytes | None:
        """The signed release of a version."""

    def put_release(self, model: str, version: int, envelope: bytes) -> None:
        """Keep the release of a version."""

    def put_downgrade(self, model: str, version: int, envelope: bytes) -> None:
        """Keep the permit to go back to a version."""

    def of_bundle(self, digest: Digest) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The releases and the permits of the versions that are this bundle."""


class Roots(Protocol):
    """The rows of trust roots."""

    def all(self) -> tuple[bytes, ...]:
        """The envelopes of all roots, the oldest first."""

    def add(self, version: int, envelope: bytes) -> None:
        """The next root."""


class Transaction(Protocol):
    """What the registry sees of a transaction."""

    @property
    def releases(self) -> Releases:
        """What publishers signed."""

    @property
    def roots(self) -> Roots:
        """Trust roots."""

    @property
    def versions(self) -> Versions:
        """Model versions."""


class Store(Protocol):
    """Where versions are kept; `write` commits at the end of its block."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes."""
