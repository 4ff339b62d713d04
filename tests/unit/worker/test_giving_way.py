"""A process that may take its time lets others run before it."""

import os
import subprocess
import sys

from edge_node.worker.giving_way import NICE, give_way


def test_the_scheduler_is_told() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == NICE
        process.communicate(b"\n")


def test_one_that_has_ended_or_has_no_process_is_fine() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    give_way(process.pid)
    give_way(None)
