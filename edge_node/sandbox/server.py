"""Confines a server for good: before it listens, and once more when it does.

    confined = confine_server(files=("/etc/node/tls.key",), shared=("/dev/shm",))
    ...                                     # listen
    close_ports(confined)                   # from now on: accept, and nothing else of the network

To be called while the process has one thread. It differs from a worker in what it needs: to listen and to accept,
memory that it shares, many open files; and it holds no model, so that its memory is its own business.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from edge_node.errors import Refused
from edge_node.sandbox import landlock, limits, places, seccomp
from edge_node.sandbox.attempts import Attempts
from edge_node.sandbox.confine import NO_NEW_PRIVILEGES
from edge_node.sandbox.confinement import Confined, Mode
from edge_node.sandbox.kernel import Kernel, LinuxKernel

OFF = "not confined: serving.sandbox = off"
SYSTEM = (
    *("/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols"),
    *("/etc/ssl/openssl.cnf", "/etc/crypto-policies", "/etc/mime.types", "/proc/sys/net"),
)
"""What a server reads on top of the libraries: names of loopback, OpenSSL's settings, the kernel's of the network."""
ANY_FILE, READ_ANY_FILE, LOW_PORTS = 1 << 1, 1 << 2, 1 << 10
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: which files, Landlock says; CAP_NET_BIND_SERVICE"""


def confine_server(
    files: Iterable[str], shared: Iterable[str], mode: Mode = "auto", kernel: Kernel | None = None
) -> Confined:
    """Confine this process and the threads that it starts.

    Args:
        files: that it reads.
        shared: folders with files of others that it reads and writes; it makes none there.
        mode: as of a `Confinement`.
        kernel: which is asked; None: the real one.

    Raises:
        Refused: the mode is "require", and something cannot be had.
    """
    limits.limit_core()
    if mode == "off":
        return Confined(applied=(OFF,))
    confined = _confined(files, shared, kernel or LinuxKernel())
    if confined.missing and mode == "require":
        raise Refused(f"serving.sandbox is require, and this process cannot be confined: {confined.text}")
    return confined


def close_ports(confined: Confined, kernel: Kernel | None = None) -> None:
    """No further socket and no further port, where calls are filtered.

    Raises:
        OSError: the kernel refused.
    """
    if "seccomp" in confined.applied:
        seccomp.close_ports(kernel or LinuxKernel())


def _confined(files: Iterable[str], shared: Iterable[str], kernel: Kernel) -> Confined:
    readable = [*places.readable(), *map(Path, (*SYSTEM, *files))]
    writable = [Path("/dev/null"), *map(Path, shared)]
    attempts = Attempts()
    attempts.make("no new privileges", lambda: kernel.prctl(NO_NEW_PRIVILEGES, 1), tell=False)
    held = attempts.make("Landlock", lambda: landlock.restrict(kernel, readable, writable, network=landlock.CONNECT))
    keep = LOW_PORTS | (ANY_FILE | READ_ANY_FILE if held else 0)
    attempts.make(
        "no capabilities", lambda: limits.drop_capabilities(kernel, keep & limits.permitted_capabilities()), tell=False
    )
    attempts.make("seccomp", lambda: seccomp.install(kernel, os.getpid(), serves=True))
    return attempts.result()
