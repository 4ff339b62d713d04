"""The system call filter, run instruction by instruction as the kernel does, for both machines on any machine."""

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.sandbox.filter import (
    ALLOW,
    AUDIT_ARCHITECTURE,
    CLONE_THREAD,
    JUMP_BITS,
    JUMP_EQUAL,
    JUMP_GREATER,
    KILL,
    LOAD,
    NO_SUCH_CALL,
    NOT_PERMITTED,
    RETURN,
    program,
)
from edge_node.sandbox.syscalls import DENIED, JUDGED, MACHINES, NEWEST, denied, judged, named

PID = 4242
X32 = 0x40000000
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
machines = pytest.mark.parametrize("machine", MACHINES)


def judge(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter answers to a call."""
    values = [*arguments, *[0] * (6 - len(arguments))]
    found = AUDIT_ARCHITECTURE[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, found, 0, *(value & 2**64 - 1 for value in values))
    return run(program(machine, PID), data)


def run(instructions: tuple[tuple[int, int, int, int], ...], data: bytes) -> int:
    place = accumulator = 0
    while True:
        code, if_true, if_false, constant = instructions[place]
        place += 1
        if code == RETURN:
            return constant
        if code == LOAD:
            accumulator = struct.unpack_from("<I", data, constant)[0]
            continue
        true = {
            JUMP_EQUAL: accumulator == constant,
            JUMP_GREATER: accumulator > constant,
            JUMP_BITS: bool(accumulator & constant),
        }[code]
        place += if_true if true else if_false


@machines
@given(number=st.integers(0, NEWEST), arguments=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_a_call_that_is_denied_is_refused_whatever_its_arguments_and_any_other_is_allowed(
    machine: str, number: int, arguments: list[int]
) -> None:
    if number in judged(machine).values():
        return
    assert judge(machine, number, *arguments) == (NOT_PERMITTED if number in denied(machine) else ALLOW)


@machines
def test_threads_are_made_and_processes_are_not(machine: str) -> None:
    calls = judged(machine)
    assert judge(machine, calls["clone"], CLONE_THREAD | 0x100) == ALLOW
    assert judge(machine, calls["clone"], 17) == NOT_PERMITTED
    assert judge(machine, calls["clone3"], 1) == NO_SUCH_CALL


@machines
@pytest.mark.parametrize("name", ["kill", "tgkill"])
@pytest.mark.parametrize("pid", [0, 1, -1, -PID, PID + 1])
def test_a_signal_reaches_this_process_alone(machine: str, name: str, pid: int) -> None:
    number = judged(machine)[name]
    assert judge(machine, number, pid, 9) == NOT_PERMITTED
    assert judge(machine, number, PID, 9) == ALLOW


@machines
@pytest.mark.parametrize("name", ["prlimit64", "sched_setaffinity"])
def test_limits_and_cores_are_set_for_this_process_alone(machine: str, name: str) -> None:
    number = judged(machine)[name]
    assert [judge(machine, number, pid) for pid in (0, PID, 1)] == [ALLOW, ALLOW, NOT_PERMITTED]


@machines
def test_the_lifeline_stays_and_nothing_is_typed_into_a_terminal(machine: str) -> None:
    calls = judged(machine)
    assert judge(machine, calls["prctl"], 1, 0) == NOT_PERMITTED
    assert judge(machine, calls["prctl"], 15, 0) == ALLOW  # PR_SET_NAME
    assert [judge(machine, calls["ioctl"], 2, call) for call in (0x5412, 0x541C)] == [NOT_PERMITTED] * 2
    assert judge(machine, calls["ioctl"], 2, 0x5413) == ALLOW  # TIOCGWINSZ


@machines
@given(number=st.integers(NEWEST + 1, 2**32 - 1))
def test_calls_that_are_newer_or_of_another_numbering_are_not_there(machine: str, number: int) -> None:
    assert judge(machine, number) == NO_SUCH_CALL
    assert judge(machine, number | X32) == NO_SUCH_CALL


@machines
def test_another_instruction_set_ends_the_process(machine: str) -> None:
    assert judge(machine, 0, architecture=0x40000003) == KILL  # i386, whose numbers mean other calls


@machines
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    header = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    stated = [pair for calls in (*DENIED.values(), JUDGED) for pair in named(calls, machine)]
    newer = {name for name, _ in stated} - header.keys()
    assert {name: number for name, number in stated if name in header} == {
        name: header[name] for name, _ in stated if name in header
    }
    assert all(number > max(header.values()) for name, number in stated if name in newer), newer
    missing = {entry.split()[0] for calls in DENIED.values() for entry in calls.split(",")} - {
        name for name, _ in stated
    }
    assert not missing & header.keys()
