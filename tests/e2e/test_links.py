"""How a node finds and keeps its links: zeroconf, a broker that moves, refuses, or is another one for live results."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.authorities import Authority
from tests.e2e.fleet import CLIP, Fleet, deployment, fleet, heard, serving_node, until
from tests.e2e.retained import retained
from tests.e2e.watched_coordinator import WATCHED
from tests.integration.brokers import free_port, mosquitto, password_file

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(120)]

HEAD = "edge/v1/live/store-12"
PYTHON, ROOT = sys.executable, Path(__file__).parents[2]
LIVE = """\
name: shelf
selector: site=store-12
model: inspection@1
pipelines:
  - {name: shelf, source: shelf, live: {state: [label]}}
"""


def results_flow(world: Fleet) -> None:
    """Wait for ten more results that the coordinator has confirmed."""
    acked = world.status()["outbox"]["acked"]
    until(lambda: world.status()["outbox"]["acked"] >= acked + 10, "ten more results in the store")


def at(port: int) -> tuple[str, ...]:
    """Options of `mosquitto_sub` for a broker on this machine."""
    return ("-h", "127.0.0.1", "-p", str(port))


# -- zeroconf --------------------------------------------------------------------------------------------------------


def announced(world: Fleet, *names: str) -> None:
    """Coordinators that announce themselves; `world` speaks to the last."""
    for name in names:
        ports = ("--port", "0", "--enroll-port", "0", "--broker-port", "0")
        nowhere = ("--advertise", "127.0.0.1:9")
        world.run("edge-coordinator", "init", "--dir", name, "--host", "127.0.0.1", *ports, *nowhere)
        world.coordinate(name=name)


@pytest.mark.needs("unshare", "ip")
def test_a_device_finds_the_coordinator_of_its_token_by_itself(tmp_path: Path, alone: Callable[[str], None]) -> None:
    """The test runs itself in a network namespace: nobody else's coordinator is announced there."""
    alone("find_the_one_of_the_token")


def find_the_one_of_the_token(folder: Path) -> None:
    """Given two coordinators and a token that names no address where one answers, the device finds the token's own."""
    with fleet(folder) as world:
        announced(world, "first")
        announced(world, "second")
        world.searching_node("shelf=/dev/null")
        until(lambda: world.status().get("link", {}).get("connected"), "the node to find its coordinator")
        assert "online" in world.run("edgectl", "node", "list")


# -- the uplink ------------------------------------------------------------------------------------------------------


def test_when_the_broker_moves_the_node_finds_it_by_itself(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        port = free_port()
        coordinator = world.coordinate(port=port, broker_port=free_port())
        serving_node(world)
        before, last = world.broker_port, world.status()["outbox"]["last_seq"]
        coordinator.stop()
        world.coordinate("--broker-port", str(free_port()))
        assert world.broker_port != before
        until(lambda: world.status()["outbox"]["acked"] >= last + 10, "results in the store again")
        assert f"connected to mqtts://127.0.0.1:{world.broker_port}" in world.status()["link"]["broker"]


def test_a_broker_that_refuses_is_one_line_and_the_node_runs_on(tmp_path: Path) -> None:
    """Given a broker that wants a password, when the node has a wrong one, then it says so and keeps what comes."""
    passwords = password_file(tmp_path, edge="right", node="right")
    with fleet(tmp_path) as world, mosquitto(tmp_path, f"password_file {passwords}") as broker:
        world.coordinate("--broker", f"mqtt://edge:right@127.0.0.1:{broker.port}")
        serving_node(world, "--broker", f"mqtt://node:right@127.0.0.1:{broker.port}")
        world.children[-1].stop()
        node = world.node(CLIP, "--broker", f"mqtt://node:wrong@127.0.0.1:{broker.port}")
        refusal = f"the broker at mqtt://node@127.0.0.1:{broker.port} refuses the connection: not authorized"
        until(lambda: refusal in world.status().get("link", {}).get("broker", ""), "the refusal in the status")
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve")
        last = world.status()["outbox"]["last_seq"]
        until(lambda: world.status()["outbox"]["last_seq"] > last + 10, "results kept for later")
        assert refusal in world.run("edge-node", "status", "--state-dir", str(tmp_path / "cam-3"))
        assert node.output().count("refuses the connection") == 1
        assert "wrong" not in node.output()
        assert "Traceback" not in node.output()


@pytest.mark.needs("mosquitto_pub")
def test_an_older_document_that_a_broker_has_retained_is_noted_once_and_harmless(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate(under=WATCHED)
        node = serving_node(world)
        topic, older = next(item for item in world.retained().items() if item[0].endswith("/desired"))
        changed = deployment(world, "inspection@1")
        changed.write_text(LIVE, encoding="utf-8")
        world.run("edgectl", "deployment", "apply", "shelf.yaml")
        until(lambda: world.status()["revision"] == 3, "the newer document to be followed")
        publish = ["mosquitto_pub", *world.observer_login(), "-t", topic, "-q", "1", "-r", "-s"]
        for _ in range(3):
            subprocess.run(publish, input=older, check=True, timeout=20)
        until(lambda: "is older than the adopted" in node.output(), "the old document to be noted")
        results_flow(world)
        assert node.output().count("is older than the adopted") == 1
        assert (world.status()["revision"], world.status()["refusal"]) == (3, "")
        assert "older" not in world.run("edgectl", "node", "show", "cam-3")


def test_a_coordinator_restored_from_a_backup_is_followed_again(tmp_path: Path) -> None:
    """Given a node that stays connected to a broker of its own, when the coordinator forgets, then its epoch rises."""
    with fleet(tmp_path) as world, mosquitto(tmp_path) as broker:
        options = ("--broker", f"mqtt://127.0.0.1:{broker.port}")
        coordinator = world.coordinate(*options, port=free_port())
        serving_node(world)
        coordinator.stop()
        shutil.copytree(tmp_path / "coord", tmp_path / "backup")
        coordinator = world.coordinate(*options)
        deployment(world, "inspection@1").write_text(LIVE, encoding="utf-8")
        world.run("edgectl", "deployment", "apply", "shelf.yaml")
        until(lambda: world.status()["revision"] == 3, "the newer document to be followed")
        coordinator.stop()
        shutil.rmtree(tmp_path / "coord")
        shutil.copytree(tmp_path / "backup", tmp_path / "coord")
        world.coordinate(*options)
        until(lambda: world.status()["epoch"] == 2, "the document of a new epoch")
        assert world.status()["refusal"] == ""
        results_flow(world)


# -- live results elsewhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["password", "tls"])
def test_live_results_go_to_another_broker_while_the_uplink_stays(tls: bool, tmp_path: Path) -> None:
    passwords = password_file(tmp_path, site="secret")
    (tmp_path / "secret").write_text("secret\n", encoding="utf-8")
    files = Authority(tmp_path).issue("127.0.0.1", server=True)
    secured = f"\ncertfile {files.certificate}\nkeyfile {files.key}" if tls else ""
    with fleet(tmp_path) as world, mosquitto(tmp_path, f"password_file {passwords}{secured}") as site:
        world.coordinate()
        config = tmp_path / "edge-node.toml"
        scheme, trust = ("mqtts", f'ca_file = "{files.ca}"') if tls else ("mqtt", "")
        config.write_text(
            f'[live]\nurl = "{scheme}://127.0.0.1:{site.port}"\nusername = "site"\n'
            f'password_file = "{tmp_path / "secret"}"\n{trust}\n',
            encoding="utf-8",
        )
        serving_node(world, "--config", str(config))
        account = [*at(site.port), "-u", "site", "-P", "secret", *(["--cafile", str(files.ca)] if tls else [])]
        live = heard(f"{HEAD}/+/shelf", "-C", "3", "-W", "20", *account)
        assert [topic for topic, _ in live] == [f"{HEAD}/cam-3/shelf"] * 3
        assert dict(heard(f"{HEAD}/+/availability", "-C", "1", "-W", "20", *account)) == {
            f"{HEAD}/cam-3/availability": b"online"
        }
        assert world.subscribe(f"{HEAD}/#", "-W", "1") == []
        ids = {json.loads(payload)["id"] for _, payload in live}
        query = ("edgectl", "results", "query", "--node", "cam-3", "--json")
        until(lambda: all(one in world.run(*query) for one in ids), "the live results in the store")
        assert f"connected to {scheme}://site@127.0.0.1:{site.port}" in world.status()["link"]["live"]


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("elsewhere", [False, True], ids=["uplink", "site broker"])
def test_a_node_renamed_while_it_runs_moves_its_live_topics_and_leaves_nothing_behind(
    elsewhere: bool, tmp_path: Path
) -> None:
    with fleet(tmp_path) as world, mosquitto(tmp_path) as site:
        world.coordinate(under=WATCHED)
        options = ("--live-broker", f"mqtt://127.0.0.1:{site.port}") if elsewhere else ()
        node = serving_node(world, *options)
        login = at(site.port) if elsewhere else world.viewer_login()

        def shown() -> dict[str, bytes]:
            return retained(f"{HEAD}/#", site.port) if elsewhere else world.retained(f"{HEAD}/#")

        deployment(world, "inspection@1").write_text(LIVE, encoding="utf-8")
        world.run("edgectl", "deployment", "apply", "shelf.yaml")
        old, new = ({f"{HEAD}/{name}/availability", f"{HEAD}/{name}/shelf/label"} for name in ("cam-3", "till-1"))
        until(lambda: shown().keys() == old, "the retained messages under the first name")
        world.run("edgectl", "node", "rename", "cam-3", "till-1")
        until(lambda: shown().keys() == new, "the retained messages under the new name alone")
        assert heard(f"{HEAD}/+/shelf", "-C", "1", "-W", "20", *login)[0][0] == f"{HEAD}/till-1/shelf"
        if elsewhere:
            node.stop(signal.SIGKILL)
        else:
            node.stop()
        availability = f"{HEAD}/till-1/availability"
        until(lambda: shown().get(availability) == b"offline", "the node to be gone under its new name")
        assert shown().keys() == new


def test_a_node_that_starts_again_goes_by_the_name_it_was_given(tmp_path: Path) -> None:
    with fleet(tmp_path) as world, mosquitto(tmp_path) as site:
        world.coordinate()
        options = ("--live-broker", f"mqtt://127.0.0.1:{site.port}")
        node = serving_node(world, *options)
        world.run("edgectl", "node", "rename", "cam-3", "till-1")
        until(lambda: world.status()["name"] == "till-1", "the new name")
        node.stop()
        world.node(CLIP, *options)
        until(
            lambda: retained(f"{HEAD}/#", site.port) == {f"{HEAD}/till-1/availability": b"online"}, "the new name alone"
        )


@pytest.fixture
def alone(tmp_path: Path) -> Callable[[str], None]:
    """Runs a function of this module in a network namespace of its own."""

    def run(function: str) -> None:
        namespace = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
        if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], capture_output=True).returncode:
            pytest.skip("no right to make a network namespace here")
        code = f"import sys, pathlib; from {__name__} import {function}; {function}(pathlib.Path(sys.argv[1]))"
        command = f"ip link set lo up && ip link set lo multicast on && exec {PYTHON} -c '{code}' {tmp_path}"
        done = subprocess.run([*namespace, "sh", "-c", command], capture_output=True, text=True, timeout=100, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-4000:]

    return run
