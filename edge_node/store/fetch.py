"""Getting a bundle: its manifest, then the blobs that are missing, each resumed where it stopped.

The limits are checked before the first byte of a file is asked for. What moves the bytes is a `Fetcher`
(`edge_node.link.coordinator`); what a failure means is the plan's business.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from edge_node.errors import BadInput, Refused
from edge_node.store.bundles import Bundles
from edge_node.store.release import Papers
from protos.digest import Digest, digest_of, short
from protos.errors import ContractError
from protos.oci import BundleFile, read_manifest

MAX_BUNDLE = 8 * 1024**3
"""No bundle is larger, in bytes."""
MAX_FILES = 10_000
SPARE_BYTES = 64 * 1024**2
"""What a download leaves free on the disk: the outbox writes there too."""

OnProgress = Callable[[int, int], None]
"""Bytes of the bundle that are here, and all of them."""


class Fetcher(Protocol):
    """Who moves the bytes."""

    async def manifest(self, digest: Digest) -> tuple[bytes, Papers]:
        """The manifest with this digest and the signed papers of the bundle, all unchecked."""

    async def blob(
        self, digest: Digest, into: Path, offset: int, on_progress: Callable[[int], None], *, max_bytes: int
    ) -> None:
        """Append the blob's bytes from `offset` on to the file, which never grows beyond `max_bytes`; `on_progress`
        gets the file's size so far.
        """


@dataclass(frozen=True)
class Room:
    """What a bundle needs and what there is, in bytes."""

    total: int
    missing: int
    free: int


async def fetch_bundle(bundles: Bundles, digest: Digest, fetcher: Fetcher, on_progress: OnProgress) -> None:
    """Bring a bundle here, or what is missing of it; a failure keeps what has come.

    Raises:
        BadInput: the other side sent something else than was asked for.
        Refused: the bundle is larger than allowed, or than the space left.
        Unreachable: the other side does not answer.
    """
    if digest not in bundles.known():
        await fetch_manifest(bundles, digest, fetcher)
    missing = unique(bundles.missing(digest))
    total = sum(file.size for file in unique(bundles.files(digest)))
    waiting = sum(file.size - bundles.blobs.staged_bytes(file.digest) for file in missing)
    check_room(digest, Room(total, waiting, bundles.blobs.free_bytes()), len(missing))
    done = total - sum(file.size for file in missing)
    for file in missing:
        await _fetch_file(bundles, file, fetcher, partial(_add_up, on_progress, done, total))
        done += file.size
    on_progress(total, total)


def check_room(digest: Digest, room: Room, files: int) -> None:
    """Nothing where the bundle may be fetched.

    Raises:
        Refused: it is too large, has too many files, or the disk is too full.
    """
    if room.total > MAX_BUNDLE or files > MAX_FILES:
        raise Refused(f"bundle {short(digest)}: {files} files and {room.total} bytes are more than a node takes")
    if room.missing + SPARE_BYTES > room.free:
        need = (room.missing + SPARE_BYTES - room.free) // 1024**2 + 1
        raise Refused(f"bundle {short(digest)}: the disk is too full: free {need} MB more")


def unique(files: tuple[BundleFile, ...]) -> tuple[BundleFile, ...]:
    """The files without those of equal content: one blob is fetched once."""
    return tuple({file.digest: file for file in files}.values())


def _add_up(on_progress: OnProgress, before: int, total: int, held: int) -> None:
    on_progress(before + held, total)


async def fetch_manifest(bundles: Bundles, digest: Digest, fetcher: Fetcher) -> Papers:
    """Bring a bundle's manifest here; the signed papers that came with it, unchecked.

    Raises:
        BadInput: the other side sent another manifest than was asked for.
        Unreachable: the other side does not answer.
    """
    content, papers = await fetcher.manifest(digest)
    if digest_of(content) != digest:
        raise BadInput(f"bundle {short(digest)}: the coordinator sent another manifest than was asked for")
    try:
        read_manifest(content)
    except ContractError as error:
        raise BadInput(f"bundle {short(digest)}: {error}") from None
    if digest not in bundles.known():
        await asyncio.to_thread(bundles.add, digest, content)
    return papers


async def _fetch_file(bundles: Bundles, file: BundleFile, fetcher: Fetcher, on_held: Callable[[int], None]) -> None:
    staged, offset = bundles.blobs.staged(file.digest), bundles.blobs.staged_bytes(file.digest)
    if offset > file.size:
        staged.unlink()
        offset = 0
    staged.touch()
    if offset < file.size:
        await _within(file, fetcher.blob(file.digest, staged, offset, on_held, max_bytes=file.size))
    await asyncio.to_thread(bundles.blobs.admit, file.digest, file.size)


async def _within(file: BundleFile, transfer: Awaitable[None]) -> None:
    """Give up on a transfer that would take longer than the slowest line that is worth waiting for."""
    limit_s = 60 + file.size / 1024
    try:
        async with asyncio.timeout(limit_s):
            await transfer
    except TimeoutError:
        raise BadInput(f"{file.path}: not here after {limit_s:.0f} s: the line is slower than 1 KB/s") from None
