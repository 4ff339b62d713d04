"""Runs a command as a unit of systemd would restrict it, without systemd: `python -m tests.e2e.restricted UNIT
COMMAND…`.

Applied is what can break a program: no capabilities (as root too), no new privileges, the unit's SystemCallFilter
(through libseccomp, as systemd does), MemoryDenyWriteExecute. Users, folders and devices stay as they are.
"""

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ALLOW, NOT_PERMITTED = 0x7FFF0000, 0x00050001  # <seccomp.h>: SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM)
NO_SUCH_CALL = -1
NO_NEW_PRIVILEGES, REFUSE_WRITE_EXECUTE = 38, 65  # prctl(2): PR_SET_NO_NEW_PRIVS, PR_SET_MDWE (Linux 6.3)
DROP_FROM_BOUNDING_SET, MOST_CAPABILITIES = 24, 64


def permitted(unit: str) -> frozenset[str]:
    """The system calls of all `SystemCallFilter=` lines, in their order; `~` takes away."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = {call for word in line.lstrip("~").split() for call in _expanded(word)}
        calls = calls - named if line.startswith("~") else calls | named
    return frozenset(calls | _expanded("@default"))  # systemd.exec(5): always permitted


def restrict(unit: str) -> None:
    """Restrict this process for good."""
    calls = permitted(unit)
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(NOT_PERMITTED))
    numbers = (seccomp.seccomp_syscall_resolve_name(call.encode()) for call in calls)
    for number in numbers:
        if number != NO_SUCH_CALL:
            assert seccomp.seccomp_rule_add(rules, ALLOW, number, 0) == 0
    kernel = ctypes.CDLL(None, use_errno=True)
    for capability in range(MOST_CAPABILITIES):
        kernel.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)  # of root; others have none
    assert kernel.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert "SystemCallFilter=" not in unit or seccomp.seccomp_load(rules) == 0
    if "MemoryDenyWriteExecute=yes" in unit:
        kernel.prctl(REFUSE_WRITE_EXECUTE, 1, 0, 0, 0)  # an older kernel knows it not; the filter holds there too


def main(arguments: Sequence[str]) -> None:
    """Restrict, then become the command."""
    restrict(Path(arguments[0]).read_text(encoding="utf-8"))
    os.execvp(arguments[1], list(arguments[1:]))


def _expanded(word: str) -> frozenset[str]:
    """A call, or the calls of a group with those of its groups."""
    if not word.startswith("@"):
        return frozenset({word})
    asked = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    inner = (line.strip() for line in asked.stdout.splitlines()[1:])
    return frozenset(call for line in inner if line and not line.startswith("#") for call in _expanded(line))


if __name__ == "__main__":
    main(sys.argv[1:])
