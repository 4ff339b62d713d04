"""`edgectl demo` from outside: what it promises in JSON, and that nothing of it stays behind, however it ends."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import pytest

MARK = "NEARFIELD_DEMO_TEST"
STARTED_S = 60.0


@dataclass
class Demo:
    """A demo under test: its temporary folder is ours, and all its processes carry a mark in their environment."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self, *arguments: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE) -> "Popen[str]":
        return Popen(
            [sys.executable, "-c", "from coordinator.cli import main; raise SystemExit(main())", "demo", *arguments],
            env={**os.environ, "TMPDIR": str(self.folder), MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def processes(self) -> dict[int, str]:
        """The command lines of all processes that descend from it."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (place / "environ").read_bytes():
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
        return found

    def await_line(self, process: "Popen[str]", beginning: str) -> None:
        """Read its standard error up to a line."""
        assert process.stderr is not None
        deadline = time.monotonic() + STARTED_S
        while time.monotonic() < deadline:
            line = process.stderr.readline()
            if not line or line.startswith(beginning):
                assert line, "the demo ended early"
                return
        pytest.fail(f"no line {beginning!r} within {STARTED_S} s")

    def assert_nothing_stays(self) -> None:
        assert self.processes() == {}
        assert list(self.folder.iterdir()) == []


@dataclass
class Screen:
    """What a terminal was sent."""

    descriptor: int
    shown: str = ""

    def read_until(self, text: str, after: str = "") -> str:
        """Everything, once the text has come, behind another one where one is given."""
        deadline = time.monotonic() + STARTED_S
        while text not in self.shown.partition(after)[2] if after else text not in self.shown:
            assert time.monotonic() < deadline, f"no {text!r} in {self.shown[-2000:]}"
            if select.select([self.descriptor], [], [], 1.0)[0]:
                self.shown += os.read(self.descriptor, 65536).decode(errors="replace")
        return self.shown


@pytest.fixture
def demo() -> Iterator[Demo]:
    with tempfile.TemporaryDirectory(prefix="nf-") as folder:
        under_test = Demo(Path(folder))
        yield under_test
        for process in under_test.processes():
            os.kill(process, signal.SIGKILL)


def test_without_a_terminal_it_ends_with_one_line_of_json_that_keeps_its_promises(demo: Demo) -> None:
    process = demo.start("--seconds", "6", "--json")
    output, progress = process.communicate(timeout=100)
    assert process.returncode == 0, progress
    figures = json.loads(output.splitlines()[-1])
    assert figures["nodes"] == 2
    assert figures["results_stored"] > 0
    assert figures["results_per_second"] > 0
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p95"]
    assert figures["judged"] > 0
    assert figures["accuracy"] >= 0.9
    assert 0 < figures["bytes_up"] < figures["bytes_in"] / 50
    assert not re.search(r"[\x1b\r]", output + progress)
    demo.assert_nothing_stays()


def test_a_node_that_dies_is_named_with_the_end_of_its_log_and_nothing_stays(demo: Demo) -> None:
    process = demo.start("--seconds", "60", "--json")
    demo.await_line(process, "watching")
    victim = next(number for number, line in demo.processes().items() if "cam-2.toml" in line)
    os.kill(victim, signal.SIGKILL)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "edgectl: edge-node cam-2 ended with exit code -9" in complaint
    assert "Traceback" not in complaint
    demo.assert_nothing_stays()


def test_in_a_terminal_something_moves_until_the_table_is_there_and_ctrl_c_ends_with_the_figures(demo: Demo) -> None:
    ours, theirs = pty.openpty()
    process = demo.start(stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen = Screen(ours)
    screen.read_until("starting a coordinator")
    screen.read_until("the fleet")
    process.send_signal(signal.SIGINT)
    shown = screen.read_until("edgectl results tail\r\n", after="the same by hand")
    assert process.wait(60) == 0
    os.close(ours)
    assert "results stored" in shown
    assert "latency ms" in shown
    demo.assert_nothing_stays()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_signal_ends_every_part(demo: Demo, number: signal.Signals, code: int) -> None:
    process = demo.start("--seconds", "60")
    demo.await_line(process, "watching")
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == code, complaint
    assert "Traceback" not in complaint
    demo.assert_nothing_stays()
