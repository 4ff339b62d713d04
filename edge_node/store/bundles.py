"""Bundles on this device: which are here, whole, and unchanged; as folders that a worker can open.

`index.json` (OCI) names the bundles of which anything is here. `bundles/<hex>/` holds a bundle's files under their own
names, as hard links to the blobs. How bundles get here: `fetch.py`; which may go: the plan.
"""

import os
import shutil
from pathlib import Path

import msgspec

from edge_node.errors import BadInput
from edge_node.store.blobs import Blobs
from edge_node.store.files import read_if_there, write_durably
from edge_node.store.surplus import Held
from protos.digest import Digest, checked_digest, hex_of, short
from protos.oci import MANIFEST_MEDIA_TYPE, BundleFile, Descriptor, read_manifest


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of an OCI image index that this store has."""

    manifests: tuple[Descriptor, ...] = ()
    schema_version: int = 2


class Bundles:
    """The bundles in one store.

    bundles = Bundles(root); bundles.prepare()
    bundles.add(digest, manifest)        its blobs may now be fetched
    folder = bundles.verify(digest)      hashed, as a folder
    """

    def __init__(self, root: Path) -> None:
        self.blobs = Blobs(root)
        self._folders = root / "bundles"
        self._index = root / "index.json"

    def prepare(self) -> None:
        """Make the folders; idempotent."""
        self.blobs.prepare()
        self._folders.mkdir(exist_ok=True)

    def known(self) -> frozenset[Digest]:
        """The bundles of which at least the manifest is here, as it was."""
        named = (checked_digest(manifest.digest) for manifest in self._read_index().manifests)
        return frozenset(digest for digest in named if self.blobs.intact(digest))

    def complete(self) -> frozenset[Digest]:
        """The bundles of which everything is here."""
        return frozenset(digest for digest in self.known() if not self.missing(digest))

    def files(self, digest: Digest) -> tuple[BundleFile, ...]:
        """The files that the bundle's manifest lists."""
        return read_manifest(self.blobs.path(digest).read_bytes())

    def missing(self, digest: Digest) -> tuple[BundleFile, ...]:
        """The files whose blobs are not here."""
        return tuple(file for file in self.files(digest) if not self.blobs.has(file.digest))

    def held(self) -> dict[Digest, Held]:
        """What each known bundle has on the disk, and when it was last verified, or else came."""
        return {digest: self._held(digest) for digest in self.known()}

    def add(self, digest: Digest, manifest: bytes) -> None:
        """Store a manifest and name it in the index; idempotent.

        Raises:
            BadInput: the manifest has another digest.
            ContractError: it is not a bundle's manifest.
        """
        read_manifest(manifest)
        self.blobs.put(digest, manifest)
        entry = Descriptor(media_type=MANIFEST_MEDIA_TYPE, digest=digest, size=len(manifest))
        others = (known for known in self._read_index().manifests if known.digest != digest)
        self._write_index((*others, entry))

    def verify(self, digest: Digest) -> Path:
        """The bundle's folder, after every byte of it was hashed.

        Raises:
            BadInput: a blob has changed on the disk or is gone; it was deleted, so that it is fetched again.
        """
        damaged = self._damaged(digest)
        for blob in damaged:
            self.blobs.remove(blob)
        if damaged:
            shutil.rmtree(self.folder(digest), ignore_errors=True)
            names = ", ".join(damaged.values())
            raise BadInput(f"bundle {short(digest)}: {names} changed on this disk; it will be fetched again")
        return self._linked(digest)

    def folder(self, digest: Digest) -> Path:
        """Where the bundle's files stand under their own names, once verified."""
        return self._folders / hex_of(digest)

    def remove(self, digest: Digest) -> None:
        """Delete the bundle and every blob that no other bundle has; idempotent."""
        if digest not in self.known():
            return
        rest = self.known() - {digest}
        shared = {file.digest for other in rest for file in self.files(other)}
        own = {file.digest for file in self.files(digest)} - shared
        self._write_index(tuple(known for known in self._read_index().manifests if known.digest != digest))
        shutil.rmtree(self.folder(digest), ignore_errors=True)
        for blob in (*own, digest):
            self.blobs.remove(blob)

    def _held(self, digest: Digest) -> Held:
        folder = self.folder(digest)
        used = (folder if folder.exists() else self.blobs.path(digest)).stat().st_mtime
        blobs = {file.digest: file.size for file in self.files(digest) if self.blobs.has(file.digest)}
        return Held({**blobs, digest: self.blobs.path(digest).stat().st_size}, used)

    def _damaged(self, digest: Digest) -> dict[Digest, str]:
        """What of a bundle is not as it was, by what people call it; a changed manifest says nothing of the rest."""
        if not self.blobs.intact(digest):
            return {digest: "the manifest"}
        return {file.digest: file.path for file in self.files(digest) if not self.blobs.intact(file.digest)}

    def _linked(self, digest: Digest) -> Path:
        """The folder made of links to the blobs, made anew so that it holds these files and no others."""
        folder = self.folder(digest)
        fresh = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for file in self.files(digest):
            place = fresh / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.blobs.path(file.digest), place)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        return folder

    def _read_index(self) -> Index:
        content = read_if_there(self._index)
        return Index() if content is None else msgspec.json.decode(content, type=Index)

    def _write_index(self, manifests: tuple[Descriptor, ...]) -> None:
        write_durably(self._index, msgspec.json.encode(Index(manifests)))
