"""The sandbox against a process that was taken over: with it nothing is had, without it everything is."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_node.errors import Exit
from edge_node.sandbox.confinement import Confinement
from edge_node.sandbox.support import support
from tests.integration.sandbox_attempts import Order

pytestmark = pytest.mark.skipif(bool(support().missing), reason=f"this kernel has {support().text}")

REFUSED_BY_THE_SYSTEM = {"set up io_uring", "allocate 8 GB"}
"""switched off for everybody; more than there is"""
MODULE = "tests.integration.sandbox_attempts"


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    """A node's state, somebody who listens, and a process that may be spied on."""
    (tmp_path / "state" / "identity").mkdir(parents=True)
    (tmp_path / "state" / "identity" / "key").write_text("secret")
    (tmp_path / "models").mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX) as unix,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        unix.bind(str(tmp_path / "agent.sock"))
        unix.listen()
        port = listening.getsockname()[1]
        yield Order(Confinement(), str(tmp_path / "state"), port, str(tmp_path / "agent.sock"), other.pid)
        other.kill()


def attempted(order: Order) -> dict[str, str]:
    command = [sys.executable, "-m", MODULE, msgspec.json.encode(order).decode()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


def test_a_process_that_was_taken_over_reads_connects_runs_and_takes_nothing(order: Order, tmp_path: Path) -> None:
    order.confinement = Confinement("require", (str(tmp_path / "models"),), memory_mb=1024)
    outcomes = attempted(order)
    assert [name for name, outcome in outcomes.items() if outcome == "done"] == []
    key = tmp_path / "state" / "identity" / "key"
    assert key.read_text() == "secret"
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["identity"]


def test_a_process_with_a_scratch_folder_keeps_files_there_and_nowhere_else(order: Order, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    order.confinement = Confinement("require", (str(tmp_path / "models"),), memory_mb=1024, scratch=str(scratch))
    outcomes = attempted(order)
    assert [name for name, outcome in outcomes.items() if outcome == "done"] == []
    script = f"""
import shutil, sys
from pathlib import Path
from edge_node.sandbox.confine import confine
from edge_node.sandbox.confinement import Confinement
scratch = Path({str(scratch)!r})
confine(Confinement("require", scratch=str(scratch)), writes=True)
(scratch / "folder").mkdir()
(scratch / "folder" / "file").write_text("kept")
(scratch / "folder" / "file").rename(scratch / "folder" / "renamed")
print((scratch / "folder" / "renamed").read_text())
shutil.rmtree(scratch / "folder")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "kept\n"), done.stderr


def test_a_server_that_was_taken_over_has_nothing_but_the_memory_that_it_shares(order: Order) -> None:
    order.confinement, order.server = Confinement("require"), True
    had = {name for name, outcome in attempted(order).items() if outcome == "done"}
    assert had <= {"hold memory as a file", "allocate 8 GB"}


def test_a_server_without_the_sandbox_can_do_the_same_as_any(order: Order) -> None:
    order.confinement, order.server = Confinement("off"), True
    assert {name for name, outcome in attempted(order).items() if outcome != "done"} <= REFUSED_BY_THE_SYSTEM


def test_without_the_sandbox_the_same_attempts_succeed(order: Order) -> None:
    order.confinement = Confinement("off")
    outcomes = attempted(order)
    assert {name for name, outcome in outcomes.items() if outcome != "done"} <= REFUSED_BY_THE_SYSTEM


def test_landlock_alone_keeps_the_files_and_the_ports(order: Order) -> None:
    """Each line of defence holds by itself: here the system call filter is missing."""
    order.confinement = Confinement("auto")
    script = f"""
import sys, runpy
from edge_node.sandbox import seccomp
def absent(*_, **__):
    raise OSError(22, "Invalid argument")
seccomp.install = absent
sys.argv = ["attempts", {msgspec.json.encode(order).decode()!r}]
runpy.run_module({MODULE!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    for name in ("read the list of users", "read the node's key", "write into the node's state", "connect by TCP"):
        assert outcomes[name] == "PermissionError", name


def test_seccomp_alone_keeps_the_network_and_other_programs(order: Order) -> None:
    """Each line of defence holds by itself: here Landlock is missing."""
    order.confinement = Confinement("auto")
    script = f"""
import sys, runpy
from edge_node.sandbox import landlock
def absent(*_):
    raise OSError(38, "Function not implemented")
landlock.restrict = absent
sys.argv = ["attempts", {msgspec.json.encode(order).decode()!r}]
runpy.run_module({MODULE!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    free = {"read the list of users", "read the node's key", "list the node's state", "read the agent's environment"}
    writes = {"write into the node's state", "lengthen the node's key"}
    assert {name for name, outcome in outcomes.items() if outcome == "done"} <= free | writes | {"allocate 8 GB"}


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_an_agent_that_requires_the_sandbox_says_what_it_has_or_does_not_run(isolation: str, tmp_path: Path) -> None:
    config = tmp_path / "edge-node.toml"
    settings = f'isolation = "{isolation}"\nstate_dir = "{tmp_path / "state"}"\n[worker]\nsandbox = "require"\n'
    config.write_text(f'name = "cam-3"\n{settings}')
    command = [sys.executable, "-m", "edge_node", "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.REFUSED  # it has no identity either
    if isolation == "thread":
        assert done.stderr.startswith('edge-node: worker.sandbox is "require", but isolation = thread has no sandbox')
    else:
        assert f"processes that open models: {support().text}" in done.stderr


def test_a_worker_that_cannot_be_confined_as_required_ends_before_it_opens_anything(tmp_path: Path) -> None:
    """The worker itself refuses, should the agent have asked the wrong kernel."""
    script = """
import sys
from edge_node.sandbox import landlock
def absent(*_):
    raise OSError(38, "Function not implemented")
landlock.restrict = absent
from edge_node.worker.process import main
raise SystemExit(main(sys.argv[1:]))
"""
    ours, theirs = socket.socketpair()
    told = msgspec.json.encode(Confinement("require", (str(tmp_path),))).decode()
    with ours, theirs:
        command = [sys.executable, "-c", script, str(theirs.fileno()), str(ours.fileno()), told]
        fds = (theirs.fileno(), ours.fileno())
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, pass_fds=fds)
    assert done.returncode == Exit.REFUSED
    assert "cannot be confined: seccomp; without Landlock (Function not implemented)" in done.stderr
