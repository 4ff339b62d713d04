"""The registry: publish, list, show, verify, delete. Rules are in `admission`; bytes are in `blobs`."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordinator.audit.acting import about
from coordinator.errors import BadInput, Conflict, NotFound
from coordinator.registry.admission import admit, admit_content, check_evaluation, model_toml_of
from coordinator.registry.blobs import Blobs
from coordinator.registry.expiry import expired
from coordinator.registry.records import Store, Version
from protos.bundle import Manifest, parse_manifest
from protos.digest import Digest, digest_of
from protos.errors import ContractError
from protos.evaluation import Requirement
from protos.oci import BundleFile, read_manifest


@dataclass(frozen=True)
class Published:
    """A version, and whether it is new."""

    version: Version
    created: bool


@dataclass(frozen=True)
class VersionDetails:
    """A version with the text of its `model.toml` and the deployments that use it."""

    version: Version
    model_toml: str
    used_by: tuple[str, ...]


class Registry:
    """Models and their versions. Every method may be called from any thread."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        now: Callable[[], datetime],
        requirements: Sequence[Requirement] = (),
    ) -> None:
        """`requirements` are what every new version's evaluation has to show."""
        self._requirements = requirements
        self._store = store
        self._blobs = blobs
        self._now = now
        self._changing = threading.Lock()  # a blob must not be freed while another version is about to name it

    def publish(self, model: str, manifest: bytes, wanted: int = 0) -> Published:
        """Make a pushed bundle the next version of its model; the same content again is the version that it was.

        Args:
            model: its name, empty for the one that the bundle says.
            manifest: the OCI manifest of the bundle.
            wanted: the number that its release was signed for beforehand; 0: the next one.

        Raises:
            BadInput: not a bundle, blobs are missing, or `model.toml` is wrong.
            Refused: larger than what is taken, or a file is hostile.
            Conflict: the wanted number is not above those that were given.
        """
        with self._changing:
            files = self._complete_files(manifest)
            toml = self._blobs.read(model_toml_of(files).digest)
            admitted = admit(model, files, _text(toml))
            admit_content(admitted, files, lambda digest: self._blobs.path(digest).open("rb"))
            digest = digest_of(manifest)
            with self._store.write() as tx:
                known = tx.versions.with_digest(admitted.name, digest)
                if known is not None:
                    return Published(known, created=False)
                check_evaluation(admitted, files, self._requirements, self._blobs.read)
                self._blobs.put(manifest)
                number = tx.versions.take_number(admitted.name, wanted)
                if number is None:
                    raise Conflict(
                        f"{admitted.name}@{wanted}: there is a version with this or a higher number: sign "
                        "the release for a higher one"
                    )
                size = sum(file.size for file in files)
                version = Version(admitted.name, number, digest, str(admitted.task), size, self._now(), files)
                tx.versions.add(version)
                about(f"{version.model}@{version.version}", digest=version.digest)
            self._write_index()
            return Published(version, created=True)

    def versions(self, model: str | None) -> tuple[tuple[Version, tuple[str, ...]], ...]:
        """All versions, or those of one model, each with the deployments that use it.

        Raises:
            NotFound: there is no such model.
        """
        with self._store.read() as tx:
            found = tx.versions.all(model)
            if model and not found:
                raise NotFound(f"no model {model!r}: see edgectl model list")
            return tuple((version, tx.versions.used_by(version.model, version.version)) for version in found)

    def show(self, model: str, number: int) -> VersionDetails:
        """One version in full; the newest for 0.

        Raises:
            NotFound: there is no such version.
        """
        with self._store.read() as tx:
            version = self._version(tx.versions.get(model, number), model, number)
            used_by = tx.versions.used_by(model, version.version)
        toml = self._blobs.read(model_toml_of(version.files).digest)
        return VersionDetails(version, _text(toml), used_by)

    def manifest_of(self, model: str, number: int) -> Manifest:
        """What a version's `model.toml` says.

        Raises:
            NotFound: there is no such version.
        """
        return parse_manifest(self.show(model, number).model_toml)

    def verify(self, model: str, number: int) -> tuple[str, ...]:
        """Read every blob of a version again; one line for each that is missing or differs.

        Raises:
            NotFound: there is no such version.
        """
        with self._store.read() as tx:
            version = self._version(tx.versions.get(model, number), model, number)
        manifest = self._blobs.path(version.digest)
        size = manifest.stat().st_size if manifest.exists() else 0
        checked = [("the manifest", version.digest, size), *((f.path, f.digest, f.size) for f in version.files)]
        problems = ((what, digest, self._blobs.problem(digest, size)) for what, digest, size in checked)
        return tuple(f"{what} ({digest}) {problem}" for what, digest, problem in problems if problem)

    def delete(self, model: str, number: int) -> int:
        """Delete a version that nothing uses; how many bytes that freed.

        Raises:
            NotFound: there is no such version.
            Conflict: deployments use it.
        """
        with self._changing:
            with self._store.write() as tx:
                version = self._version(tx.versions.get(model, number), model, number)
                used_by = tx.versions.used_by(model, version.version)
                if used_by:
                    raise Conflict(
                        f"{model}@{version.version} is used by {', '.join(used_by)}: change or delete "
                        f"{'that deployment' if len(used_by) == 1 else 'those deployments'} first"
                    )
                tx.versions.remove(model, version.version)
                mine = {version.digest, *(file.digest for file in version.files)}
                unused = mine.difference(tx.versions.referenced(mine))
            self._write_index()
            return self._blobs.remove(unused)

    def manifest(self, digest: Digest) -> bytes:
        """The OCI manifest of a published bundle.

        Raises:
            NotFound: no version has this digest.
        """
        with self._store.read() as tx:
            if not tx.versions.is_bundle(digest):
                raise NotFound(f"no bundle {digest}")
        return self._blobs.read(digest)

    def tidy(self, now: float) -> int:
        """Drop what was pushed and never published, and write `index.json`; how many bytes that freed.

        Args:
            now: seconds since 1970.
        """
        with self._changing:
            self._blobs.drop_parts(now)
            old = expired(self._blobs.ages(now))
            with self._store.read() as tx:
                needed = tx.versions.referenced(old)
            self._write_index()
            return self._blobs.remove(set(old).difference(needed))

    def _write_index(self) -> None:
        """Bring `index.json` up to what the database says."""
        with self._store.read() as tx:
            self._blobs.write_index((f"{v.model}:{v.version}", v.digest) for v in tx.versions.all())

    def _complete_files(self, manifest: bytes) -> tuple[BundleFile, ...]:
        try:
            files = read_manifest(manifest)
        except ContractError as error:
            raise BadInput(str(error)) from None
        for file in files:
            state = self._blobs.state(file.digest)
            if not state.complete:
                raise BadInput(f"{file.path} ({file.digest}) has not been pushed: push again")
            if state.received != file.size:
                raise BadInput(f"{file.path}: the manifest says {file.size} bytes, the blob has {state.received}")
        return files

    @staticmethod
    def _version(found: Version | None, model: str, number: int) -> Version:
        if found is None:
            what = f"{model}@{number}" if number else model
            raise NotFound(f"no model version {what}: see edgectl model list")
        return found


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadInput("model.toml is not UTF-8 text") from None
