"""A lane's memory: an anonymous file that is cut into slots, mapped by both sides.

It is sealed: neither side can shrink it, which would end the other with SIGBUS, nor let it grow. Slots are sparse:
what was never written takes no memory. Who writes when is not decided here: see `messages`.
"""

import fcntl
import mmap
import os

from edge_node.errors import NearfieldError

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def new_file(size: int) -> int:
    """The descriptor of a sealed anonymous file.

    Raises:
        NearfieldError: this system has none.
    """
    try:
        fd = os.memfd_create("nearfield-lane", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise NearfieldError(f"no memory for a lane: {error.strerror}") from None
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        os.close(fd)
        raise NearfieldError(f"no {size} bytes of memory for a lane: {error.strerror}") from None
    return fd


class Memory:
    """`slots` of `slot_bytes` each in a mapped file."""

    def __init__(self, fd: int, slots: int, slot_bytes: int) -> None:
        """Map a file of at least that size; the descriptor stays the caller's.

        Raises:
            ValueError: it is smaller.
            OSError: it cannot be mapped.
        """
        self._mapped = mmap.mmap(fd, slots * slot_bytes)
        whole = memoryview(self._mapped)
        self.slots = [whole[start : start + slot_bytes] for start in range(0, slots * slot_bytes, slot_bytes)]
        self._slot_bytes = slot_bytes

    def give_back(self, slot: int) -> None:
        """Take a slot's memory from it; it then holds zeros."""
        self._mapped.madvise(mmap.MADV_REMOVE, slot * self._slot_bytes, self._slot_bytes)
