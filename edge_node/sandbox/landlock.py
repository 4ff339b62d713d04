"""The door to Landlock: files and TCP ports that this process may use from now on, whatever its user may.

https://docs.kernel.org/userspace-api/landlock.html; the bits are those of <linux/landlock.h>. A domain binds the
thread that enters it and the threads that this one starts: enter it before there are others. Not bound by Landlock
are the names and times of files (`stat`), their modes and owners, and Unix sockets: the system call filter sees to
those.
"""

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from edge_node.sandbox.kernel import Kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""the same on every machine"""
VERSION_FLAG = 1
PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
MAKING = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8
"""to remove folders and files, to make them"""
FILE_RIGHTS = WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | 1
"""those that a rule for a file that is no folder may name; 1: execute"""
RIGHTS_SINCE = {1: (1 << 13) - 1, 2: 1 << 13, 3: TRUNCATE, 5: IOCTL_DEV}
"""filesystem rights by the version of the interface that brought them"""
NETWORK_SINCE, BIND, CONNECT = 4, 0b01, 0b10
"""of TCP"""
SCOPES_SINCE, SCOPES = 6, 0b11
"""abstract Unix sockets and signals of processes outside"""


def version(kernel: Kernel) -> int:
    """The version of the kernel's Landlock.

    Raises:
        OSError: it has none, or it is switched off.
    """
    return kernel.call(CREATE_RULESET, 0, 0, VERSION_FLAG)


def rights(version: int) -> int:
    """All filesystem rights that a version can withhold."""
    return sum(bits for since, bits in RIGHTS_SINCE.items() if since <= version)


def restrict(
    kernel: Kernel,
    readable: Iterable[Path],
    devices: Iterable[Path],
    scratch: Iterable[Path] = (),
    *,
    network: int = BIND | CONNECT,
) -> int:
    """Withhold every right but reading below `readable`, using `devices`, and keeping files below `scratch`.

    What does not exist is left out. `network` is what of TCP is withheld.

    Returns:
        The version of Landlock that holds.

    Raises:
        OSError: the kernel has no Landlock, or refused.
    """
    found = version(kernel)
    handled = rights(found)
    ruleset = kernel.call(CREATE_RULESET, _attributes(found, handled, network), 24, 0)
    try:
        for path in readable:
            _allow(kernel, ruleset, path, READ_FILE | READ_DIR)
        for path in devices:
            _allow(kernel, ruleset, path, (READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEV) & handled)
        for path in scratch:
            _allow(kernel, ruleset, path, (READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKING) & handled)
        kernel.call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return found


def _attributes(version: int, handled: int, network: int) -> bytes:
    """`struct landlock_ruleset_attr`; an older kernel takes the longer one where what it does not know is zero."""
    scopes = SCOPES if version >= SCOPES_SINCE else 0
    return struct.pack("=QQQ", handled, network if version >= NETWORK_SINCE else 0, scopes)


def _allow(kernel: Kernel, ruleset: int, path: Path, allowed: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # absent, or out of reach already
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            allowed &= FILE_RIGHTS
        kernel.call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", allowed, place), 0)
    finally:
        os.close(place)
