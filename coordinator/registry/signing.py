"""What publishers sign of versions: taken in, kept, and asked for before a deployment. Rules: `released`."""

from collections.abc import Callable
from datetime import datetime

from coordinator.audit.acting import about
from coordinator.errors import Conflict, NotFound, Refused
from coordinator.registry.records import Store, Transaction, Version
from coordinator.registry.released import Standing, checked_permit, checked_release, merged, standing
from protos.digest import Digest
from protos.release import Downgrade
from protos.trust import TrustRoot, newest


class Signing:
    """Releases and permits. Every method may be called from any thread."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def sign(self, model: str, number: int, sealed: bytes) -> Standing:
        """Keep a signed release of a version; how the version stands then.

        Raises:
            NotFound: there is no such version.
            BadInput: it says something else.
            Refused: no publisher has signed it.
        """
        with self._store.write() as tx:
            version, root = _version(tx, model, number), _root(tx)
            checked_release(version, sealed, root)
            about(f"{model}@{version.version}")
            kept = merged(tx.releases.release(model, version.version), sealed, root)
            tx.releases.put_release(model, version.version, kept)
        return standing(version, kept, root, self._now())

    def permit(self, sealed: bytes) -> Downgrade:
        """Keep a downgrade permit.

        Raises:
            NotFound: there is no such version.
            BadInput: it is none.
            Refused: too few publishers have signed it, or it is of another bundle.
        """
        with self._store.write() as tx:
            permit = checked_permit(sealed, _root(tx))
            version = _version(tx, permit.model, permit.version)
            if permit.digest != version.digest:
                raise Refused(f"the permit names another bundle than {permit.model}@{permit.version} is here")
            tx.releases.put_downgrade(permit.model, permit.version, sealed)
            about(f"{permit.model}@{permit.version}", below=permit.below)
        return permit

    def standing(self, version: Version) -> Standing:
        """How a version stands."""
        with self._store.read() as tx:
            release = tx.releases.release(version.model, version.version)
            return standing(version, release, newest(tx.roots.all()), self._now())

    def check(self, model: str, number: int) -> None:
        """Nothing, where the version may be deployed.

        Raises:
            NotFound: there is no such version.
            Conflict: it is not released.
        """
        with self._store.read() as tx:
            version = _version(tx, model, number)
        why = self.standing(version).unreleased
        if why:
            raise Conflict(why)

    def papers_of(self, digest: Digest) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The releases and the permits of a bundle, for nodes."""
        with self._store.read() as tx:
            return tx.releases.of_bundle(digest)


def _root(tx: Transaction) -> TrustRoot:
    root = newest(tx.roots.all())
    if root is None:
        raise Refused("this coordinator has no trust root yet: edgectl trust show says what is missing")
    return root


def _version(tx: Transaction, model: str, number: int) -> Version:
    version = tx.versions.get(model, number)
    if version is None:
        raise NotFound(f"no model version {model}@{number}: see edgectl model list")
    return version
