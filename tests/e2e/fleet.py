"""A coordinator, nodes and commands as a person starts them: real processes on free ports, ended with the test."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bound import BOUND
from tests.e2e.retained import retained
from tests.e2e.watched_coordinator import observer_files

BIN = Path(sys.executable).parent
PATIENCE_S = 60.0
READY = r"coordinator (\S+) · enrollment \S+ · broker \S+?//(?:\S+@)?[\d.]+:(\d+)"
INSPECTION = Path(__file__).parents[2] / "deploy" / "demo" / "inspection"


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first truthy answer of the condition; a failure that says what was waited for, where it does not come."""
    deadline = time.monotonic() + patience_s
    while (asked := time.monotonic()) < deadline:
        if answer := condition():
            return answer
        took = time.monotonic() - asked
        time.sleep(max(0.1, took))  # whoever is asked over and over by a command leaves half a core to the others
    raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}")


@dataclass
class Child:
    """A process whose output lies in a file."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def output(self) -> str:
        """Everything that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@dataclass
class Fleet:
    """One coordinator and its nodes below one folder."""

    folder: Path
    address: str = ""
    broker_port: int = 0
    home: Path = Path()
    """the coordinator's folder"""
    children: list[Child] = field(default_factory=list)

    def start(self, name: str, *command: str) -> Child:
        """Start a command in the background; ours are found first."""
        found = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        log = self.folder / f"{name}-{len(self.children)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                (*BOUND, *command), stdout=out, stderr=subprocess.STDOUT, cwd=self.folder, env=found
            )
        child = Child(process, log)
        self.children.append(child)
        return child

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command to its end, as the administrator; what it said on standard output."""
        environment = {
            **os.environ,
            "NEARFIELD_COORDINATOR": self.address,
            "NEARFIELD_CREDENTIALS": str(self.home / "admin.pem"),
            "NEARFIELD_PUBLISHER_KEY": str(self.home / "keys" / "publisher.key"),
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment,
            timeout=PATIENCE_S,
        )
        assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def coordinate(
        self, *options: str, port: int = 0, broker_port: int = 0, name: str = "coord", under: tuple[str, ...] = ()
    ) -> Child:
        """Start a coordinator with options of `serve`; its address and its broker's port are then known."""
        if not (self.folder / name).exists():
            ports = ("--port", str(port), "--enroll-port", "0", "--broker-port", str(broker_port))
            self.run("edge-coordinator", "init", "--dir", name, "--host", "127.0.0.1", *ports, "--no-announce")
        self.home = self.folder / name
        child = self.start("coordinator", *under, "edge-coordinator", "serve", "--dir", name, *options)
        spoken = until(
            lambda: re.search(READY, child.output()),
            "the coordinator's first line",
        )
        self.address, self.broker_port = spoken[1].replace("0.0.0.0", "127.0.0.1"), int(spoken[2])
        return child

    def node(self, source: str, *options: str, name: str = "cam-3", under: tuple[str, ...] = ()) -> Child:
        """Start a node that is told where the coordinator is, `under` another command if one is given."""
        return self.searching_node(source, "--coordinator", self.address, *options, name=name, under=under)

    def searching_node(self, source: str, *options: str, name: str = "cam-3", under: tuple[str, ...] = ()) -> Child:
        """Start a node; one that is none yet enrolls with a token first."""
        itself = ["--state-dir", str(self.folder / name)]
        if not (self.folder / name / "identity.json").exists():
            itself += ["--token-file", str(self.token(name))]
        return self.start(name, *under, "edge-node", "run", *itself, "--source", source, *options)

    def token(self, name: str, site: str = "store-12") -> Path:
        """A file with a fresh join token for a node of this name."""
        created = self.run("edgectl", "node", "token", "create", "--site", site, "--name", name, "--json")
        file = self.folder / f"{name}-{len(self.children)}.token"
        file.write_text(json.loads(created)["token"], encoding="utf-8")
        file.chmod(0o600)
        return file

    def status(self, name: str = "cam-3") -> dict[str, Any]:
        """The node's status document; empty while it does not answer."""
        asked = subprocess.run(
            [str(BIN / "edge-node"), "status", "--state-dir", str(self.folder / name), "--json"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return dict(json.loads(asked.stdout)) if asked.returncode == 0 else {}

    def serving(self, name: str = "cam-3") -> dict[str, int]:
        """Which version serves each pipeline of a node."""
        return {one["name"]: one["version"] for one in self.status(name).get("pipelines", [])}

    def viewer_login(self) -> tuple[str, ...]:
        """How Mosquitto's programs log in at the own broker as a person, who may read live topics."""
        admin = self.home / "admin.pem"
        return self._login(admin, admin)

    def observer_login(self) -> tuple[str, ...]:
        """The same as someone who may do everything; the coordinator must have been started as a `WATCHED` one."""
        return self._login(*observer_files(self.home, self.folder))

    def subscribe(self, topic: str, *options: str) -> list[tuple[str, bytes]]:
        """What a person hears of the own broker, as topics and payloads."""
        return heard(topic, *self.viewer_login(), *options)

    def retained(self, topic: str = "edge/v1/#") -> dict[str, bytes]:
        """Every retained message of a `WATCHED` coordinator's broker."""
        authorities = self.home / "keys" / "ca.pem"
        return retained(topic, self.broker_port, (authorities, *observer_files(self.home, self.folder)))

    def _login(self, certificate: Path, key: Path) -> tuple[str, ...]:
        files = ("--cafile", self.home / "keys" / "ca.pem", "--cert", certificate, "--key", key)
        return ("-h", "127.0.0.1", "-p", str(self.broker_port), *map(str, files))


def heard(topic: str, *options: str) -> list[tuple[str, bytes]]:
    """What mosquitto_sub hears, as topics and payloads."""
    command = ("mosquitto_sub", "-t", topic, "-F", "%t\t%p", *options)
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S)
    lines = (line.partition(b"\t") for line in done.stdout.splitlines())
    return [(line[0].decode(), line[2]) for line in lines]


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """A fleet without anything yet; at the end no process of it is left."""
    made = Fleet(folder)
    try:
        yield made
    finally:
        end(made.children)


def end(children: list[Child]) -> None:
    """End processes, the newest first; by force whoever takes long, and all where this is interrupted."""
    try:
        for child in reversed(children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.stop()
    finally:
        for child in children:
            if child.process.poll() is None:
                child.stop(signal.SIGKILL)


CLIP = f"shelf={INSPECTION.parent / 'clip' / 'line.mp4'},loop=true"
"""The demo's belt as a source that plays for ever; 10 frames a second, a small model: quick to push and to prove."""


def serving_node(fleet: Fleet, *options: str, source: str = CLIP, under: tuple[str, ...] = ()) -> Child:
    """A node, with a coordinator that runs already, once it serves version 1 of the demo's model."""
    fleet.run("edgectl", "model", "push", str(INSPECTION))
    node = fleet.node(source, *options, under=under)
    until(lambda: fleet.status().get("link", {}).get("connected"), "the node to be connected")
    fleet.run("edgectl", "deployment", "apply", str(deployment(fleet, "inspection@1")))
    until(lambda: fleet.serving() == {"shelf": 1}, "version 1 to serve")
    return node


def bundle(fleet: Fleet, data: Path, output: str, *options: str) -> None:
    """Make a bundle of the real MobileNetV2 files."""
    models = data / "models"
    files = (str(models / "mobilenet_v2_int8.tflite"), str(models / "mobilenet_v2_int8.onnx"))
    extra = ("--labels", str(models / "imagenet_labels.txt"), "--golden", str(data / "images" / "parrot.jpg"))
    fleet.run("edgectl", "model", "init", "--name", "mobilenet-v2", *files, *extra, "-o", output, *options)


def deployment(fleet: Fleet, model: str, **changes: str) -> Path:
    """A deployment file for the store's shelf."""
    fields = {"name": "shelf", "selector": "site=store-12", "model": model, **changes}
    lines = [f"{key}: {value}" for key, value in fields.items()]
    path = fleet.folder / "shelf.yaml"
    path.write_text("\n".join([*lines, "pipelines:", "  - name: shelf", "    source: shelf", ""]), encoding="utf-8")
    return path
