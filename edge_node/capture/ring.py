"""The newest frames of a source in shared memory, for one writer and any number of readers.

A ring is an anonymous file (memfd, or an unlinked temporary file where the kernel has none) of a few slots; its
descriptor is handed to the readers. Each slot begins with a version, a seqlock: the writer makes it odd, writes,
and makes it even again, so that a reader which meets an odd or another version than the one it was told knows that
the writer has overtaken it, and throws away what it made of the frame.

Who may read which slot when is not decided here: see `server`.
"""

import mmap
import os
import struct
import tempfile
import threading

import numpy as np

from edge_node.capture.frames import RGB

SLOTS = 3
"""one being written, one being read, one in between"""

_HEADER_BYTES = 64
"""a cache line, so that frames begin aligned"""
_VERSION = struct.Struct("=Q")


class RingWriter:
    """Shared memory that this process fills."""

    def __init__(self, slot_bytes: int, slots: int = SLOTS) -> None:
        self.slots = slots
        self.slot_bytes = slot_bytes
        size = slots * _stride(slot_bytes)
        self.fd = _anonymous_file(size)
        self._memory = mmap.mmap(self.fd, size)
        self._fence = _Fence()
        self._written = 0

    def write(self, frame: RGB) -> int:
        """Fill the next slot; the version that `RingReader.view` is to be told."""
        self._written += 1
        version = self._written
        start = version % self.slots * _stride(self.slot_bytes)
        _VERSION.pack_into(self._memory, start, 2 * version - 1)
        self._fence()
        body = np.frombuffer(self._memory, np.uint8, frame.size, start + _HEADER_BYTES)
        body[:] = frame.reshape(-1)
        self._fence()
        _VERSION.pack_into(self._memory, start, 2 * version)
        return version

    def close(self) -> None:
        """Give the descriptor back; the memory goes with the last reader."""
        os.close(self.fd)


class RingReader:
    """Shared memory that another process fills."""

    def __init__(self, fd: int, slots: int, slot_bytes: int) -> None:
        self._slots = slots
        self._slot_bytes = slot_bytes
        self._memory = mmap.mmap(fd, slots * _stride(slot_bytes), prot=mmap.PROT_READ)
        self._fence = _Fence()
        os.close(fd)

    def view(self, version: int, height: int, width: int) -> RGB:
        """The place of the frame of a version, read-only; what is made of it counts only if it `holds` afterwards."""
        start = self._start(version) + _HEADER_BYTES
        return np.frombuffer(self._memory, np.uint8, height * width * 3, start).reshape(height, width, 3)

    def holds(self, version: int) -> bool:
        """Whether the frame of a version is still there: what was read of it before this call was whole."""
        self._fence()
        found: int = _VERSION.unpack_from(self._memory, self._start(version))[0]
        return found == 2 * version

    def _start(self, version: int) -> int:
        return version % self._slots * _stride(self._slot_bytes)


class _Fence:
    """A memory barrier: what was stored or loaded before it is so before what comes after.

    Python has none to call, and arm64 reorders. Releasing a lock and taking it again is one, by the rules of the C
    atomics that locks are made of.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.release()
        self._lock.acquire()


def _stride(slot_bytes: int) -> int:
    return _HEADER_BYTES + -(-slot_bytes // _HEADER_BYTES) * _HEADER_BYTES


def _anonymous_file(size: int) -> int:
    try:
        fd = os.memfd_create("nearfield-frames", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        fd, path = tempfile.mkstemp(prefix="nearfield-frames-")
        os.unlink(path)  # noqa: PTH108 - a path that lives for one line
    os.ftruncate(fd, size)
    return fd
