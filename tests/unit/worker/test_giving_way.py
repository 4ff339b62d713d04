"""A process that may take its time lets others run before it."""

import os
import subprocess
import sys
from pathlib import Path

from edge_node.worker.giving_way import FIRST_TO_GO, NICE, give_way, go_first


def test_the_scheduler_is_told() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == NICE
        process.communicate(b"\n")


def test_the_kernel_is_told_whom_to_end_first() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        go_first(process.pid)
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == str(FIRST_TO_GO)
        process.communicate(b"\n")


def test_one_that_has_ended_or_has_no_process_is_fine() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for tell in (give_way, go_first):
        tell(process.pid)
        tell(None)
