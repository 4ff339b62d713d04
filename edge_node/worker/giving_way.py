"""A process that is to disturb nobody: the kernel is told that others run before it, and that it goes before others.

Linux; elsewhere nothing is told.
"""

import os
from contextlib import suppress
from pathlib import Path

NICE = 15
FIRST_TO_GO = 900
"""Of -1000 to 1000 (proc(5), oom_score_adj): above that of other workers."""


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


def go_first(pid: int | None) -> None:
    """Have the kernel end this process before others where memory runs out; one that is gone, or none, is fine."""
    if pid is not None:
        with suppress(OSError):
            Path(f"/proc/{pid}/oom_score_adj").write_text(str(FIRST_TO_GO), encoding="ascii")
