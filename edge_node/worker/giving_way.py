"""A process that may take its time while others answer clients: the scheduler is told. Linux; elsewhere nothing is."""

import os
from contextlib import suppress
from pathlib import Path

NICE = 15


def give_way(pid: int | None) -> None:
    """Let a process, and the threads that it starts from now on, run when others do not want to.

    A process with a session of its own is a scheduling group of its own where the kernel groups by sessions (sched(7),
    "The autogroup feature"): there the group's nice value counts. One that is gone, or none (threads), is fine.
    """
    if pid is None:
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE), encoding="ascii")
