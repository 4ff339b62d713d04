"""Content-addressed blobs on disk, in the OCI image layout: `<root>/blobs/sha256/<hex>`.

A blob is written under `staging/`, its digest is compared, and only then it is renamed into `blobs/`; so a path
inside `blobs/` is proof. An upload that breaks off leaves its part in staging and goes on from there. What nobody needs
for a week, a part or a blob of no version, is dropped (`expiry`).

    with blobs.upload(digest, size, offset) as upload:
        upload.write(chunk)
        upload.finish()
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from coordinator.errors import BadInput, Conflict, NearfieldError, NotFound
from coordinator.registry.expiry import expired
from protos.digest import Digest, digest_of, hex_of, short
from protos.oci import EMPTY_CONTENT, LAYOUT_FILE, MANIFEST_MEDIA_TYPE, Descriptor

CHUNK = 1024 * 1024
EMPTY = digest_of(EMPTY_CONTENT)
REF_NAME = "org.opencontainers.image.ref.name"


class OciIndex(msgspec.Struct, frozen=True, rename="camel"):
    """`index.json`: the bundles of the layout, each under its `model:version`."""

    manifests: tuple[Descriptor, ...]
    schema_version: int = 2
    media_type: str = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class BlobState:
    """What is held of a blob: `received` bytes; complete once the digest has been compared."""

    complete: bool
    received: int


class Upload:
    """A blob being written; see `Blobs.upload`."""

    def __init__(self, file: BinaryIO, staged: Path, target: Path, digest: Digest, size: int) -> None:
        self._file = file
        self._staged = staged
        self._target = target
        self._digest = digest
        self._size = size

    @property
    def received(self) -> int:
        """Bytes held so far."""
        return self._file.tell()

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises:
            BadInput: more bytes than were announced.
        """
        if self._file.tell() + len(chunk) > self._size:
            raise BadInput(f"blob {short(self._digest)}: more than the {self._size} bytes that were announced")
        self._file.write(chunk)

    def finish(self) -> None:
        """Compare the digest and give the blob its name.

        Raises:
            BadInput: bytes are missing (they may follow in another upload), or the content has another digest
                (what was received is dropped).
        """
        if self.received < self._size:
            raise BadInput(f"blob {short(self._digest)}: {self.received} of {self._size} bytes arrived: push again")
        self._file.flush()
        os.fsync(self._file.fileno())
        if _digest_of_file(self._staged) != self._digest:
            self._staged.unlink()
            raise BadInput(f"what arrived is not {self._digest}: the file changed while it was pushed, push again")
        self._staged.replace(self._target)
        _sync_folder(self._target.parent)


class Blobs:
    """The blobs below a folder. `prepare` makes the folders; the other methods may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._final = root / "blobs" / "sha256"
        self._staging = root / "staging"

    def prepare(self) -> None:
        """Make the layout.

        Raises:
            NearfieldError: the disk is full, or fails.
        """
        with self._storing():
            self._final.mkdir(parents=True, exist_ok=True)
            self._staging.mkdir(exist_ok=True)
            (self._root / "oci-layout").write_bytes(LAYOUT_FILE)
        self.put(EMPTY_CONTENT)

    def drop_parts(self, now: float) -> None:
        """Drop the uploads that nobody went on with; `now` in seconds since 1970."""
        for part in expired(_ages(self._staging.glob("*.part"), now)):
            part.unlink(missing_ok=True)

    def ages(self, now: float) -> dict[Digest, float]:
        """The blobs, and how many seconds ago the last byte of each was written."""
        return {Digest(f"sha256:{path.name}"): age for path, age in _ages(self._final.iterdir(), now).items()}

    def path(self, digest: Digest) -> Path:
        """Where the blob is once it is complete."""
        return self._final / hex_of(digest)

    def state(self, digest: Digest) -> BlobState:
        """What is held of a blob."""
        with suppress(FileNotFoundError):
            return BlobState(complete=True, received=self.path(digest).stat().st_size)
        with suppress(FileNotFoundError):
            return BlobState(complete=False, received=self._part(digest).stat().st_size)
        return BlobState(complete=False, received=0)

    @contextmanager
    def upload(self, digest: Digest, size: int, offset: int) -> Iterator[Upload]:
        """Write a blob of `size` bytes from `offset` on.

        Raises:
            BadInput: the offset is beyond what is held.
            Conflict: somebody else is writing this blob now.
            NearfieldError: the disk is full, or fails.
        """
        with self._storing(), self._part_of(digest, offset) as file:
            yield Upload(file, self._part(digest), self.path(digest), digest, size)

    @contextmanager
    def _part_of(self, digest: Digest, offset: int) -> Iterator[BinaryIO]:
        """The part, cut at the offset, for us alone."""
        part = self._part(digest)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            if not _locked(descriptor, part):
                raise Conflict(f"blob {short(digest)} is being pushed by somebody else: try again later")
            held = os.fstat(descriptor).st_size
            if offset > held:
                raise BadInput(f"blob {short(digest)}: offset {offset}, and {held} bytes are held: ask where to go on")
            file.truncate(offset)
            file.seek(offset)
            yield file

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Says in one line that the disk takes nothing."""
        try:
            yield
        except OSError as error:
            raise NearfieldError(f"content cannot be stored below {self._root}: {error.strerror}") from None

    def put(self, content: bytes) -> Digest:
        """Store bytes; their digest."""
        digest = digest_of(content)
        if not self.path(digest).exists():
            with self.upload(digest, len(content), 0) as upload:
                upload.write(content)
                upload.finish()
        return digest

    def read(self, digest: Digest) -> bytes:
        """The content of a blob.

        Raises:
            NotFound: it is not held.
        """
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no blob {digest}") from None

    def chunks(self, digest: Digest, offset: int) -> Iterator[bytes]:
        """The content from `offset` on, in chunks of 1 MiB.

        Raises:
            NotFound: it is not held.
            BadInput: the offset is beyond its end.
        """
        try:
            file = self.path(digest).open("rb")
        except FileNotFoundError:
            raise NotFound(f"no blob {digest}") from None
        with file:
            size = os.fstat(file.fileno()).st_size
            if offset > size:
                raise BadInput(f"blob {short(digest)} has {size} bytes, no offset {offset}")
            file.seek(offset)
            while chunk := file.read(CHUNK):
                yield chunk

    def problem(self, digest: Digest, size: int) -> str | None:
        """What is wrong with a blob when all of it is read again, or None."""
        path = self.path(digest)
        if not path.exists():
            return "is missing"
        if path.stat().st_size != size:
            return f"has {path.stat().st_size} bytes instead of {size}"
        return None if _digest_of_file(path) == digest else "has another content than its digest says"

    def remove(self, digests: Iterable[Digest]) -> int:
        """Delete blobs; how many bytes that freed. The empty one, which every manifest names, stays."""
        freed = 0
        for digest in frozenset(digests) - {EMPTY}:
            path = self.path(digest)
            with suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        return freed

    def write_index(self, bundles: Iterable[tuple[str, Digest]]) -> None:
        """Write `index.json`: each bundle's reference (`model:version`) and the digest of its manifest."""
        manifests = tuple(
            Descriptor(MANIFEST_MEDIA_TYPE, digest, self.path(digest).stat().st_size, {REF_NAME: reference})
            for reference, digest in bundles
            if self.path(digest).exists()
        )
        staged = self._staging / "index.json"
        with self._storing():
            staged.write_bytes(msgspec.json.encode(OciIndex(manifests)))
            staged.replace(self._root / "index.json")

    def _part(self, digest: Digest) -> Path:
        return self._staging / f"{hex_of(digest)}.part"


def _ages(paths: Iterable[Path], now: float) -> dict[Path, float]:
    """How many seconds ago each file was written; one that goes meanwhile is left out."""
    ages: dict[Path, float] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            ages[path] = now - path.stat().st_mtime
    return ages


def _locked(descriptor: int, part: Path) -> bool:
    """Whether the file is ours alone, and still the part: who held the lock may have made the blob of it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), part.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _digest_of_file(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
