"""Node and coordinator as their units run them: under the same restrictions, watched, drained."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.join_token import JoinToken
from tests.conftest import ROOT
from tests.e2e.fleet import Child, Fleet, fleet, serving_node, until

pytestmark = [pytest.mark.needs("systemd-analyze", "mosquitto"), pytest.mark.timeout(180)]
RESTRICTED = (sys.executable, str(ROOT / "tests" / "e2e" / "restricted.py"))
UNITS = {name: str(ROOT / "deploy" / "systemd" / name / f"edge-{name}.service") for name in ("node", "coordinator")}
WATCHDOG_S = 1.0
HANGING = """
import signal, sys, time
from edge_node.cli import main
signal.signal(signal.SIGUSR1, lambda number, frame: time.sleep(4))  # in the main thread, where the event loop turns
sys.exit(main(sys.argv[1:]))
"""
CONFINED = """
from edge_node.sandbox.confine import confine
from edge_node.sandbox.confinement import Confinement
print(confine(Confinement(), writes=True).text)
"""


class Manager:
    """The service manager's end of a notification socket."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Everything that was said until now."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as made:
        yield made


def restricted(unit: str) -> tuple[str, ...]:
    return (*RESTRICTED, UNITS[unit])


def test_a_model_serves_under_the_restrictions_of_the_units(
    world: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_coordinator = Manager(tmp_path / "c", monkeypatch)
    coordinator = world.coordinate(under=restricted("coordinator"))
    of_node = Manager(tmp_path / "n", monkeypatch)
    node = serving_node(world, under=restricted("node"))
    _spoke_and_ends(of_node, node)
    _spoke_and_ends(of_coordinator, coordinator)


def _spoke_and_ends(manager: Manager, child: Child) -> None:
    until(lambda: manager.listen().count("WATCHDOG=1") >= 3, "pulses")
    assert manager.heard[0] == "READY=1"
    assert manager.heard.count("READY=1") == 1, "its broker speaks to nobody"
    assert child.stop() == 0, child.output()
    assert "STOPPING=1" in manager.listen()
    manager.close()
    assert "Operation not permitted" not in child.output()


def test_a_worker_confines_itself_under_the_unit_as_it_does_without(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text("")
    confined = [
        subprocess.run([*RESTRICTED, unit, sys.executable, "-c", CONFINED], capture_output=True, text=True, cwd=ROOT)
        for unit in (UNITS["node"], str(bare))
    ]
    assert confined[0].stdout == confined[1].stdout
    assert confined[0].stdout, confined[0].stderr


def test_the_restrictions_hold(tmp_path: Path) -> None:
    """The control arm: under the unit a program may not do what it must not."""
    with fleet(tmp_path) as world:
        command = (sys.executable, "-c", "import os; os.chroot('/')")
        child = world.start("chroot", *restricted("node"), *command)
        child.process.wait(20)
        assert "Operation not permitted" in child.output()


def test_an_agent_whose_loop_hangs_falls_silent(world: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(tmp_path / "n", monkeypatch)
    token = tmp_path / "token"
    token.write_text(JoinToken(bytes(16), bytes(32), ("127.0.0.1:1",)).text)
    itself = ("--name", "cam-3", "--state-dir", str(tmp_path / "state"), "--token-file", str(token))
    agent = world.start("agent", sys.executable, "-c", HANGING, "run", *itself)
    until(lambda: manager.listen().count("WATCHDOG=1") >= 3, "pulses")
    agent.process.send_signal(signal.SIGUSR1)
    time.sleep(0.5)  # what was on its way
    before = len(manager.listen())
    time.sleep(2 * WATCHDOG_S)
    assert len(manager.listen()) == before, "systemd kills it after one WatchdogSec"
    until(lambda: len(manager.listen()) > before, "the pulse to go on after the hang")
    manager.close()
