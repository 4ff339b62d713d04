"""System shared memory that clients on this machine have registered: tensors come from it and go into it.

It is read and written through its descriptor and never mapped: a client that shortens its file must not end this
process with SIGBUS. One copy, which the kernel makes. Only regular files directly in /dev/shm; this node's own shared
memory has no name there.
"""

import os
import re
import stat
from collections.abc import Mapping

from edge_node.serving.inference import InRegion, Kind, ServingError

FOLDER = "/dev/shm"  # noqa: S108 - where POSIX shared memory is on Linux: shm_open(3)
_KEY = re.compile(r"/?([^/\0]{1,250})", re.ASCII)
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LONGEST_NAME = 256


class _Region:
    """An open region. `fd` is closed with it."""

    def __init__(self, key: str, fd: int, offset: int, size: int) -> None:
        self.key = key
        self.fd = fd
        self.offset = offset
        self.size = size

    def __del__(self) -> None:
        os.close(self.fd)


class Regions:
    """The registered regions by name. At most `limit`, each of which holds a descriptor."""

    def __init__(self, limit: int, folder: str = FOLDER) -> None:
        self._limit = limit
        self._folder = folder
        self._regions: dict[str, _Region] = {}

    def status(self) -> Mapping[str, tuple[str, int, int]]:
        """Name to key, offset, size."""
        return {name: (one.key, one.offset, one.size) for name, one in self._regions.items()}

    def register(self, name: str, key: str, offset: int, size: int) -> None:
        """Open `size` bytes from `offset` of the shared memory `key`.

        Raises:
            ServingError: the name is taken, there is no such memory, or it is shorter.
        """
        if name in self._regions:
            raise _invalid(f"shared memory region '{name}' already in manager")
        if not name or len(name) > _LONGEST_NAME or len(self._regions) >= self._limit:
            raise _invalid(f"at most {self._limit} shared memory regions, with names of 1 to {_LONGEST_NAME}")
        if offset < 0 or size <= 0:
            raise _invalid(f"shared memory region '{name}' from {offset}, {size} bytes: nothing is there")
        self._regions[name] = _Region(key, self._open(key, offset + size), offset, size)

    def unregister(self, name: str) -> None:
        """Forget a region, or all of them for an empty name. Nothing happens where there is none."""
        if name:
            self._regions.pop(name, None)
        else:
            self._regions.clear()

    def check(self, place: InRegion) -> None:
        """Raise `ServingError` where a place is in no region."""
        self._find(place)

    def read(self, place: InRegion, into: memoryview) -> None:
        """Copy a place into `into`, which has its size.

        Raises:
            ServingError: it is in no region, or the region's memory ends before it.
        """
        region = self._find(place)
        got = os.preadv(region.fd, [into], region.offset + place.offset)
        if got != place.size:
            raise _invalid(f"shared memory region '{place.name}' ends before {place.offset + place.size} bytes")

    def write(self, place: InRegion, data: memoryview) -> None:
        """Copy data into a place.

        Raises:
            ServingError: the place is in no region or smaller than the data, or there is no memory for it.
        """
        region = self._find(place)
        if len(data) > place.size:
            raise _invalid(f"shared memory region '{place.name}': {place.size} bytes are too few for {len(data)}")
        try:
            put = os.pwritev(region.fd, [data], region.offset + place.offset)
        except OSError as error:
            raise _invalid(f"shared memory region '{place.name}' takes nothing: {error.strerror}") from None
        if put != len(data):
            raise _invalid(f"shared memory region '{place.name}' took {put} of {len(data)} bytes")

    def _find(self, place: InRegion) -> _Region:
        region = self._regions.get(place.name)
        if region is None:
            raise _invalid(f"Unable to find shared memory region: '{place.name}'")
        if place.offset < 0 or place.size < 0 or place.offset + place.size > region.size:
            raise _invalid(f"Invalid offset + byte size for shared memory region: '{place.name}'")
        return region

    def _open(self, key: str, end: int) -> int:
        name = _KEY.fullmatch(key)
        if name is None or name[1] in (".", ".."):
            raise _invalid(f"Unable to open shared memory region: '{key[:100]}': no key of /dev/shm")
        try:
            fd = os.open(f"{self._folder}/{name[1]}", _OPEN)
        except OSError as error:
            raise _invalid(f"Unable to open shared memory region: '{key}': {error.strerror}") from None
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_size >= end:
            return fd
        os.close(fd)
        raise _invalid(f"Unable to open shared memory region: '{key}': no shared memory of at least {end} bytes")


def _invalid(reason: str) -> ServingError:
    return ServingError(Kind.INVALID, reason)
