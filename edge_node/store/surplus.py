"""Which bundles go that nothing needs: the least recently used first, until the rest keeps the quota. Pure.

What stays makes going back to an older version a matter of seconds, without a download.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from protos.digest import Digest

LEAVE_FREE = 1024**3
"""What is kept for nothing but the quota leaves as much of the disk free for what is needed."""


@dataclass(frozen=True)
class Held:
    """What a bundle has on the disk: its blobs with their sizes, and when it was last used, in seconds."""

    blobs: Mapping[Digest, int]
    used: float


def surplus(
    held: Mapping[Digest, Held], needed: Collection[Digest], quota_bytes: int, free_bytes: int | None = None
) -> tuple[Digest, ...]:
    """The bundles to remove, the least recently used first; never one that is needed.

    Args:
        held: all bundles on the disk.
        needed: those that a deployment wants, falls back on or runs.
        quota_bytes: what all of them may take together.
        free_bytes: of the disk, None where nobody knows.
    """
    left = dict(held)
    most = quota_bytes if free_bytes is None else min(quota_bytes, size_of(held.values()) + free_bytes - LEAVE_FREE)
    removed: list[Digest] = []
    for digest in sorted(held.keys() - set(needed), key=lambda digest: (held[digest].used, digest)):
        if size_of(left.values()) <= most:
            break
        del left[digest]
        removed.append(digest)
    return tuple(removed)


def size_of(held: Iterable[Held]) -> int:
    """The bytes that bundles take together: a blob that several have lies there once."""
    return sum({digest: size for one in held for digest, size in one.blobs.items()}.values())
