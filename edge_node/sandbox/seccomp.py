"""The door to seccomp: installs a filter for every thread of this process. What it permits: `filter`."""

import ctypes
import struct

from edge_node.sandbox.filter import Instruction, listening, packed, program
from edge_node.sandbox.kernel import Kernel
from edge_node.sandbox.syscalls import MACHINES

SECCOMP = {"x86_64": 317, "aarch64": 277}
SET_MODE_FILTER, GET_ACTION_AVAIL = 1, 2
ALL_THREADS = 1
RETURN_ERRNO = 0x00050000


def check(kernel: Kernel) -> None:
    """Return if filters can be installed here.

    Raises:
        OSError: the kernel has none, or this machine's calls are not known.
    """
    if kernel.machine not in MACHINES:
        raise OSError(0, "the numbers of this machine's system calls are not known here")
    kernel.call(SECCOMP[kernel.machine], GET_ACTION_AVAIL, 0, struct.pack("=I", RETURN_ERRNO))


def install(kernel: Kernel, pid: int, *, keeps: bool = False, serves: bool = False) -> None:
    """Filter the calls of the process `pid`, which must be this one and have set no_new_privs; see `filter.program`.

    Raises:
        OSError: as `check`, or the kernel refused.
    """
    check(kernel)
    _install(kernel, program(kernel.machine, pid, keeps=keeps, serves=serves))


def close_ports(kernel: Kernel) -> None:
    """No further socket in any thread of this process, which has a filter and listens where it is to listen.

    Raises:
        OSError: the kernel refused.
    """
    _install(kernel, listening(kernel.machine))


def _install(kernel: Kernel, instructions: tuple[Instruction, ...]) -> None:
    code = ctypes.create_string_buffer(packed(instructions))
    described = struct.pack("@HP", len(instructions), ctypes.addressof(code))  # struct sock_fprog
    kernel.call(SECCOMP[kernel.machine], SET_MODE_FILTER, ALL_THREADS, described)
