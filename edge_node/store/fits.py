"""Whether a bundle fits on this device, asked before the first byte of its files is fetched. Pure.

What a model will hold of memory nobody knows before it runs: it is taken to be at least its file, and refused only
where not even that fits, with nothing else loaded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from protos.oci import BundleFile

MAX_BUNDLE = 8 * 1024**3
"""No bundle is larger, in bytes."""
MAX_FILES = 10_000
SPARE_BYTES = 64 * 1024**2
"""What a download leaves free on the disk: the outbox writes there too."""
MODELS = frozenset({".onnx", ".tflite", ".stub"})


@dataclass(frozen=True)
class Room:
    """What a bundle needs and what there is, in bytes.

    `total` is the bundle, `missing` what is still to be fetched, `free` what the disk has at `where`; `model` is the
    smallest of its models, `memory` what one may take: None where nobody knows.
    """

    total: int
    missing: int
    free: int
    files: int = 0
    where: str = "the store"
    model: int = 0
    memory: int | None = None


def misfit(room: Room) -> str | None:
    """Why a bundle does not fit, in one line with what to do; None where it does."""
    if room.total > MAX_BUNDLE or room.files > MAX_FILES:
        return f"{room.files} files and {room.total} bytes are more than a node takes"
    if room.missing + SPARE_BYTES > room.free:
        need, have = _mb(room.missing), max(0, room.free - SPARE_BYTES) // 1024**2
        return f"needs {need} MB, {have} MB are free at {room.where}: free some, or lower store.quota_mb"
    if room.memory is not None and room.model > room.memory:
        need, have = _mb(room.model), room.memory // 1024**2
        return f"needs more than {need} MB of memory, {have} MB are available: deploy a smaller variant, or stop others"
    return None


def smallest_model(files: Iterable[BundleFile]) -> int:
    """The size of the smallest model among a bundle's files, 0 where none is known by its name."""
    return min((file.size for file in files if PurePosixPath(file.path).suffix in MODELS), default=0)


def _mb(size: int) -> int:
    return -(-size // 1024**2)
