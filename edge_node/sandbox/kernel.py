"""The door to the kernel's calls that Python has no function for, through the C library's `syscall` and `prctl`."""

import ctypes
import os
import platform
import struct
from typing import Protocol

POINTER_BYTES = struct.calcsize("P")


class Kernel(Protocol):
    """What the sandbox asks of a kernel. A fake one stands for kernels that lack something."""

    machine: str
    """`x86_64`, `aarch64`; empty where the calls of this process are of a kind that is not known here"""

    def call(self, number: int, *arguments: int | bytes) -> int:
        """A system call by its number; bytes are passed by address.

        Raises:
            OSError: as the kernel says.
        """

    def prctl(self, option: int, value: int) -> None:
        """prctl(2) with one value.

        Raises:
            OSError: as the kernel says.
        """

    def capset(self, header: bytes, data: bytes) -> None:
        """capset(2).

        Raises:
            OSError: as the kernel says.
        """


class LinuxKernel:
    """The kernel that runs this process."""

    def __init__(self) -> None:
        self.machine = platform.machine() if POINTER_BYTES == 8 else ""  # a 32-bit Python makes other calls
        self._libc = ctypes.CDLL(None, use_errno=True)

    def call(self, number: int, *arguments: int | bytes) -> int:
        """See `Kernel.call`."""
        passed = [ctypes.c_long(one) if isinstance(one, int) else ctypes.c_char_p(one) for one in arguments]
        return _checked(self._libc.syscall(ctypes.c_long(number), *passed))

    def prctl(self, option: int, value: int) -> None:
        """See `Kernel.prctl`."""
        rest = [ctypes.c_ulong(0)] * 3
        _checked(self._libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), *rest))

    def capset(self, header: bytes, data: bytes) -> None:
        """See `Kernel.capset`."""
        _checked(self._libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(data)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
