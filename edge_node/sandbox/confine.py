"""Confines this process for good: limits, Landlock, capabilities, then the system call filter that keeps it so.

    confined = confine(Confinement(readable=("/var/lib/node/store/bundles",)))

To be called while the process has one thread, before it opens a model. Engines are imported afterwards.
"""

import os
from pathlib import Path

from edge_node.errors import Refused
from edge_node.sandbox import landlock, limits, places, seccomp
from edge_node.sandbox.attempts import Attempts
from edge_node.sandbox.confinement import OFF, Confined, Confinement
from edge_node.sandbox.kernel import Kernel, LinuxKernel

NO_NEW_PRIVILEGES = 38
"""prctl(2)"""


def confine(confinement: Confinement, kernel: Kernel | None = None, *, writes: bool = False) -> Confined:
    """Confine this process and the threads that it starts.

    Args:
        confinement: to what.
        kernel: which is asked; None: the real one.
        writes: it may write on files that it has open already, such as its standard output.

    Raises:
        Refused: the mode is "require", and something cannot be had.
    """
    limits.limit_memory(confinement.memory_mb)
    limits.limit_files(writes=writes)
    if confinement.mode == "off":
        return Confined(applied=(OFF,))
    kernel = kernel or LinuxKernel()
    confined = _confined(confinement, kernel)
    if confined.missing and confinement.mode == "require":
        raise Refused(f"worker.sandbox is require, and this process cannot be confined: {confined.text}")
    return confined


def _confined(confinement: Confinement, kernel: Kernel) -> Confined:
    readable = [*places.readable(), *map(Path, confinement.readable)]
    devices = [*places.devices(), *map(Path, confinement.writable)]
    scratch = [Path(confinement.scratch)] if confinement.scratch else []
    attempts = Attempts()
    attempts.make("no new privileges", lambda: kernel.prctl(NO_NEW_PRIVILEGES, 1), tell=False)
    files = attempts.make("Landlock", lambda: landlock.restrict(kernel, readable, devices, scratch))
    keep = limits.READ_ANY_FILE if files and os.geteuid() == 0 else 0
    attempts.make("no capabilities", lambda: limits.drop_capabilities(kernel, keep), tell=False)
    attempts.make("seccomp", lambda: seccomp.install(kernel, os.getpid(), keeps=bool(scratch)))
    return attempts.result()
