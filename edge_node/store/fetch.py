"""Getting a bundle: its manifest, then all blobs that are missing, each resumed where it stopped.

Whether it fits is asked before the first byte of a file is (`fits`); no file grows beyond what the manifest says
of it, and the whole has a deadline. What moves the bytes is a `Fetcher`
(`edge_node.link.coordinator`); what a failure means is the plan's business.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from edge_node.errors import BadInput, Refused, Unreachable
from edge_node.store.blobs import Blobs
from edge_node.store.bundles import Bundles
from edge_node.store.fits import Room, misfit, smallest_model
from edge_node.store.release import Papers
from protos.digest import Digest, digest_of, short
from protos.errors import ContractError
from protos.oci import BundleFile, read_manifest

LEAST_BYTES_S = 4096
"""A line that is slower is not waited for; the next attempt goes on where this one stopped."""
LONGEST_S = 24 * 3600.0

OnProgress = Callable[[int, int], None]
"""Bytes of the bundle that are here, and all of them."""


class Fetcher(Protocol):
    """Who moves the bytes."""

    async def manifest(self, digest: Digest) -> tuple[bytes, Papers]:
        """The manifest with this digest and the signed papers of the bundle, all unchecked."""

    async def blobs(self, growing: "Sequence[Growing]", on_progress: Callable[[int], None]) -> None:
        """Append each blob's bytes from `offset` on to its file, which never grows beyond `size`; `on_progress` gets
        the bytes that all these files hold so far.
        """


@dataclass(frozen=True)
class Growing:
    """A blob on its way: the file that it grows in, how many bytes that holds, and how many it will."""

    digest: Digest
    into: Path
    offset: int
    size: int


def longest_s(missing: int) -> float:
    """Seconds after which a download of so many bytes is given up, however steadily it trickles. Pure."""
    return float(min(60 + missing / LEAST_BYTES_S, LONGEST_S))


async def fetch_bundle(
    bundles: Bundles,
    digest: Digest,
    fetcher: Fetcher,
    on_progress: OnProgress,
    limit_s: Callable[[int], float] = longest_s,
    memory: int | None = None,
) -> None:
    """Bring a bundle here, or what is missing of it; a failure keeps what has come.

    Args:
        bundles: where to.
        digest: which one.
        fetcher: who moves the bytes.
        on_progress: called with the bytes that are here and all of them.
        limit_s: seconds for the whole, of so many missing bytes.
        memory: bytes that a model may take; None: nobody knows.

    Raises:
        BadInput: the other side sent something else than was asked for.
        Refused: it does not fit on this device (`fits`).
        Unreachable: the other side does not answer, or not in time.
    """
    if digest not in bundles.known():
        await fetch_manifest(bundles, digest, fetcher)
    missing = unique(bundles.missing(digest))
    total = sum(file.size for file in unique(bundles.files(digest)))
    waiting = sum(file.size - bundles.blobs.staged_bytes(file.digest) for file in missing)
    model = smallest_model(bundles.files(digest))
    free, where = bundles.blobs.free_bytes(), str(bundles.blobs.root)
    if (why := misfit(Room(total, waiting, free, len(missing), where, model, memory))) is not None:
        raise Refused(f"bundle {short(digest)}: {why}")
    try:
        async with asyncio.timeout(limit_s(waiting)):
            await _fetch_files(bundles, missing, fetcher, partial(_add_up, on_progress, total))
    except TimeoutError:
        raise Unreachable(
            f"bundle {short(digest)}: not here after {limit_s(waiting):.0f} s: the line is too slow; going on later"
        ) from None
    on_progress(total, total)


def unique(files: tuple[BundleFile, ...]) -> tuple[BundleFile, ...]:
    """The files without those of equal content: one blob is fetched once."""
    return tuple({file.digest: file for file in files}.values())


def _add_up(on_progress: OnProgress, total: int, missing: int) -> None:
    on_progress(total - missing, total)


async def _fetch_files(
    bundles: Bundles, missing: tuple[BundleFile, ...], fetcher: Fetcher, on_missing: Callable[[int], None]
) -> None:
    """Ask for all of them at once, then check each; `on_missing` gets the bytes that are not here yet."""
    staged = await asyncio.to_thread(lambda: [_staged(bundles.blobs, file) for file in missing])
    if growing := [one for one in staged if one.offset < one.size]:
        whole = sum(one.size for one in growing)
        await fetcher.blobs(growing, lambda held: on_missing(whole - held))
    for file in missing:
        await asyncio.to_thread(bundles.blobs.admit, file.digest, file.size)


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


def _staged(blobs: Blobs, file: BundleFile) -> Growing:
    """The file that a download grows in, made where there is none; one that grew too long begins anew."""
    into, offset = blobs.staged(file.digest), blobs.staged_bytes(file.digest)
    if offset > file.size:
        into.unlink()
        offset = 0
    into.touch()
    return Growing(file.digest, into, offset, file.size)
