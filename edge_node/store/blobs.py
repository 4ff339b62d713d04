"""Content by digest, in the OCI image layout: `blobs/sha256/<hex>`.

A path inside `blobs/` is proof: content gets there only through `admit`, which checks size and digest of a file in
`staging/` and renames it. `intact` checks again what has lain on a disk. Which blobs make a bundle: `bundles.py`.
"""

import hashlib
import os
import shutil
from pathlib import Path

from edge_node.errors import BadInput
from edge_node.store.files import sync_folder
from protos.digest import Digest, hex_of, short
from protos.oci import LAYOUT_FILE


class Blobs:
    """The blobs below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._staging = root / "staging"

    def prepare(self) -> None:
        """Make the folders; idempotent."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._staging.mkdir(parents=True, exist_ok=True)
        (self.root / "oci-layout").write_bytes(LAYOUT_FILE)

    def path(self, digest: Digest) -> Path:
        """Where the blob lies, or would."""
        return self._blobs / hex_of(digest)

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here."""
        return self.path(digest).is_file()

    def staged(self, digest: Digest) -> Path:
        """The file that a download of the blob grows in."""
        return self._staging / hex_of(digest)

    def staged_bytes(self, digest: Digest) -> int:
        """How much of the blob has been downloaded: the offset to go on from."""
        try:
            return self.staged(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def admit(self, digest: Digest, size: int) -> None:
        """Move a finished download into the store.

        Raises:
            BadInput: its size or digest differs; the download is thrown away.
        """
        staged = self.staged(digest)
        if staged.stat().st_size != size or file_digest(staged) != digest:
            staged.unlink()
            raise BadInput(f"blob {short(digest)}: the download has another size or digest; it was thrown away")
        _sync_file(staged)
        staged.chmod(0o444)
        staged.replace(self.path(digest))
        sync_folder(self._blobs)

    def put(self, digest: Digest, content: bytes) -> None:
        """Store a small blob that is in memory.

        Raises:
            BadInput: its digest differs.
        """
        self.staged(digest).write_bytes(content)
        self.admit(digest, len(content))

    def intact(self, digest: Digest) -> bool:
        """Whether the blob is here and still has its digest."""
        return self.has(digest) and file_digest(self.path(digest)) == digest

    def remove(self, digest: Digest) -> None:
        """Delete the blob and what has been downloaded of it; idempotent."""
        self.path(digest).unlink(missing_ok=True)
        self.staged(digest).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """The space left on the disk."""
        return shutil.disk_usage(self.root).free


def file_digest(path: Path) -> Digest:
    """The digest of a file's content."""
    with path.open("rb") as file:
        return Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
