"""The system call filter as a classic BPF program: decides call by call, from its number and its arguments. Pure.

The machine of the instructions: https://docs.kernel.org/networking/filter.html; what they are run on (`struct
seccomp_data`) and what they return: <linux/seccomp.h>. A call from another instruction set than the machine's own
ends the process, for its numbers mean other calls.
"""

import struct
from collections.abc import Iterable, Iterator

from edge_node.sandbox.syscalls import NEWEST, denied, judged, opening

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, constant"""

LOAD, JUMP_EQUAL, JUMP_GREATER, JUMP_BITS, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""offsets in `struct seccomp_data`"""
AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""<linux/audit.h>"""

ALLOW, KILL = 0x7FFF0000, 0x80000000
NOT_PERMITTED, NO_SUCH_CALL = 0x00050001, 0x00050026
"""EPERM and ENOSYS as the call's answer"""

CLONE_THREAD = 0x00010000
SET_PARENT_DEATH_SIGNAL = 1
TERMINAL_INPUT, TERMINAL_CONTROL = 0x5412, 0x541C
"""TIOCSTI, TIOCLINUX: both put keystrokes into a terminal"""


def program(machine: str, pid: int, *, keeps: bool = False, serves: bool = False) -> tuple[Instruction, ...]:
    """The filter of the process `pid` on a machine of `syscalls.MACHINES`.

    Args:
        machine: whose calls are judged.
        pid: of the process.
        keeps: it keeps files of its own.
        serves: it listens, accepts, and shares memory that it makes.
    """
    return (
        *_begun(machine),
        (JUMP_GREATER, 0, 1, NEWEST),
        (RETURN, 0, 0, NO_SUCH_CALL),
        *_judgements(machine, pid),
        *_refused(denied(machine, keeps=keeps, serves=serves)),
        (RETURN, 0, 0, ALLOW),
    )


def listening(machine: str) -> tuple[Instruction, ...]:
    """What is put on top of a server's filter once it listens: no further socket, no further port."""
    return (*_begun(machine), *_refused(opening(machine)), (RETURN, 0, 0, ALLOW))


def packed(instructions: tuple[Instruction, ...]) -> bytes:
    """As the kernel reads them: `struct sock_filter`, one after the other."""
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def _begun(machine: str) -> tuple[Instruction, ...]:
    """The call's number is loaded; the calls of another instruction set end the process."""
    return (
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURE[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    )


def _refused(numbers: Iterable[int]) -> Iterator[Instruction]:
    for number in numbers:
        yield from _if_called(number, ((RETURN, 0, 0, NOT_PERMITTED),))


def _judgements(machine: str, pid: int) -> Iterator[Instruction]:
    bodies = {
        "clone": _threads_only(),
        "clone3": ((RETURN, 0, 0, NO_SUCH_CALL),),  # its flags lie in memory; the C library then uses clone
        "kill": _only(0, pid),
        "tgkill": _only(0, pid),
        "prlimit64": _only(0, 0, pid),
        "sched_setaffinity": _only(0, 0, pid),
        "prctl": _but(0, SET_PARENT_DEATH_SIGNAL),
        "ioctl": _but(1, TERMINAL_INPUT, TERMINAL_CONTROL),
    }
    numbers = judged(machine)
    for name, body in bodies.items():
        yield from _if_called(numbers[name], body)


def _if_called(number: int, body: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    return ((JUMP_EQUAL, 0, len(body), number), *body)


def _only(argument: int, *values: int) -> tuple[Instruction, ...]:
    """Permitted where the argument is one of the values."""
    return _decided(argument, values, found=ALLOW, otherwise=NOT_PERMITTED)


def _but(argument: int, *values: int) -> tuple[Instruction, ...]:
    """Permitted unless the argument is one of the values."""
    return _decided(argument, values, found=NOT_PERMITTED, otherwise=ALLOW)


def _decided(argument: int, values: tuple[int, ...], *, found: int, otherwise: int) -> tuple[Instruction, ...]:
    tests = tuple((JUMP_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values))
    return ((LOAD, 0, 0, _low(argument)), *tests, (RETURN, 0, 0, otherwise), (RETURN, 0, 0, found))


def _threads_only() -> tuple[Instruction, ...]:
    flags = (LOAD, 0, 0, _low(0))
    return (flags, (JUMP_BITS, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, NOT_PERMITTED))


def _low(argument: int) -> int:
    """The lower half of an argument: all that the kernel looks at of those judged here. Both machines are
    little-endian.
    """
    return ARGUMENTS + 8 * argument
