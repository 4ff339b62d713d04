"""Two coordinators on one PostgreSQL and one broker: one acts on rollouts, the other goes on when it is killed."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine
from tests.conformance.worker_world import stub_bundle
from tests.e2e.fleet import CLIP, Child, deployment, fleet, until
from tests.integration.brokers import free_port, mosquitto, password_file

pytestmark = [pytest.mark.needs("mosquitto", "postgres"), pytest.mark.timeout(240)]

NODES = ("cam-1", "cam-2")


def twin(folder: Path) -> None:
    """The second one's folder: the same keys, the same storage of bundles."""
    shutil.copytree(folder / "coord" / "keys", folder / "twin" / "keys")
    for name in ("coordinator.toml", "admin.pem"):
        shutil.copy(folder / "coord" / name, folder / "twin" / name)
    (folder / "twin" / "bundles").symlink_to(folder / "coord" / "bundles")


def acting(store: ControlStore) -> str:
    """Who holds the lease; empty while nobody does."""
    with store.read() as tx:
        lease = tx.leases.get("rollouts")
    return "" if lease is None else lease.holder


def test_the_other_coordinator_goes_on_when_the_one_that_acts_is_killed(tmp_path: Path, postgres_url: str) -> None:
    passwords = password_file(tmp_path, edge="right", node="right")
    with fleet(tmp_path) as world, mosquitto(tmp_path, f"password_file {passwords}") as broker:
        databases = ("--database", postgres_url, "--results-database", postgres_url)
        options = ("--broker", f"mqtt://edge:right@127.0.0.1:{broker.port}", *databases)
        running = {"coord": world.coordinate(*options)}
        twin(tmp_path)
        own_port = ("--port", str(free_port()))
        running["twin"] = world.coordinate(*options, *own_port, name="twin")
        for number, behaviour in enumerate(({}, {"delay_ms": 1})):
            world.run("edgectl", "model", "push", str(stub_bundle(tmp_path / str(number) / "tired", **behaviour)))
        for name in NODES:
            at_broker = ("--broker", f"mqtt://node:right@127.0.0.1:{broker.port}")
            world.node(CLIP, "--isolation", "thread", *at_broker, name=name)
        until(lambda: world.run("edgectl", "node", "list").count("online") == len(NODES), "the nodes")
        world.run("edgectl", "deployment", "apply", str(deployment(world, "tired@1")))
        until(lambda: all(world.serving(name) == {"shelf": 1} for name in NODES), "version 1 everywhere")
        quick = ("--canary", "1", "--min-healthy", "2s", "--auto-promote", "--auto-revert")
        world.run("edgectl", "rollout", "create", "shelf", "--to", "tired@2", *quick)
        store = ControlStore(open_engine(postgres_url))
        killed = until(lambda: acting(store), "somebody to act")
        name = holder_of(running, killed)
        running[name].stop(signal.SIGKILL)
        if name == "twin":  # it is where nodes fetch: whatever watches over it starts it again
            running["twin"] = world.coordinate(*options, *own_port, name="twin")
        watched = world.run("edgectl", "rollout", "watch", "shelf")
        assert "rollout shelf-1 is completed" in watched
        assert acting(store) != killed
        store.close()
        until(lambda: all(world.serving(name) == {"shelf": 2} for name in NODES), "version 2 everywhere")
        shown = json.loads(world.run("edgectl", "rollout", "show", "shelf", "--json"))
        assert sum(event["text"] == "completed" for event in shown["events"]) == 1
        assert "intact" in world.run("edgectl", "audit", "verify")


def holder_of(running: dict[str, Child], holder: str) -> str:
    """Which of them holds the lease: its process id is a part of the holder's name."""
    pid = int(holder.split()[-2])
    return next(name for name, child in running.items() if pid in (child.process.pid, *children(child.process.pid)))


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]
