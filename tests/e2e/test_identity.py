"""A node's identity over the years: clocks that lie, weeks in a drawer, certificates that end (S3)."""

import json
from pathlib import Path

import pytest

from tests.e2e.fleet import CLIP, Fleet, fleet, serving_node, until
from tests.e2e.recorder import stored
from tests.integration.brokers import free_port

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub", "faketime"), pytest.mark.timeout(180)]

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), Path("faketime"))
YEAR_S = 365 * 86400


def at(moment: str) -> tuple[str, ...]:
    """The command that has what follows live at another time; `+40d`, or `@1970-01-01 00:10:00`."""
    return ("env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME={moment}", "FAKETIME_DONT_FAKE_MONOTONIC=1")


@pytest.fixture
def ports() -> tuple[str, ...]:
    """For a coordinator that is where it was after a restart."""
    numbers = [str(free_port()) for _ in range(3)]
    return ("--port", numbers[0], "--enroll-port", numbers[1], "--broker-port", numbers[2])


def clocks(results: Path) -> set[str]:
    """What the results say of the clock of their node."""
    return {json.loads(event)["data"]["clock"] for event in stored(results)}


def count(world: Fleet) -> int:
    return len(stored(world.folder / "coord" / "results.db"))


@pytest.mark.parametrize("moment", ["@1970-01-01 00:10:00", "+7300d"])
def test_a_device_that_boots_in_another_decade_comes_back_infers_and_delivers(tmp_path: Path, moment: str) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        serving_node(world).stop()
        before = count(world)
        node = world.node(CLIP, under=at(moment))
        until(lambda: count(world) > before + 20, "results from another decade")
        until(lambda: world.status()["clock"]["source"] == "coordinator", "the time to be told")
        assert abs(world.status()["clock"]["system_off_s"]) > 15 * YEAR_S
        until(lambda: "unsynced" in clocks(tmp_path / "coord" / "results.db"), "results that say that the clock is off")
        assert world.status()["identity"]["trouble"] == ""
        assert "Traceback" not in node.output()


def test_a_node_in_a_drawer_for_forty_days_too_long_comes_back_by_itself(
    tmp_path: Path, ports: tuple[str, ...]
) -> None:
    with fleet(tmp_path) as world:
        coordinator = world.coordinate(*ports)
        serving_node(world).stop()
        coordinator.stop()
        world.coordinate(*ports, under=at("+130d"))
        before = count(world)
        world.node(CLIP, under=at("+130d"))
        until(lambda: count(world) > before + 20, "results after 130 days")
        identity = world.status()["identity"]
        assert (identity["expired"], identity["trouble"]) == (False, "")


def test_after_the_grace_a_node_infers_on_and_one_command_brings_it_back(
    tmp_path: Path, ports: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet(tmp_path) as world:
        coordinator = world.coordinate(*ports)
        serving_node(world).stop()
        coordinator.stop()
        world.coordinate(*ports, under=at("+300d"))
        node = world.node(CLIP, under=at("+300d"))
        until(lambda: "grace are over" in world.status().get("identity", {}).get("trouble", ""), "the refusal")
        until(lambda: world.status()["outbox"]["waiting"] > 20, "results to wait: it infers on")
        with monkeypatch.context() as later:
            for setting in at("+300d")[1:]:
                later.setenv(*setting.split("=", 1))
            said = world.run("edgectl", "node", "replace", "cam-3")
        before, token = count(world), said.split("edge-node enroll ")[1].split()[0]
        world.run("edge-node", "enroll", token, "--again", "--state-dir", str(tmp_path / "cam-3"))
        until(lambda: count(world) > before + 20, "what waited to be delivered, and more")
        until(lambda: world.status()["outbox"]["waiting"] < 20, "the outbox to be empty again")
        assert world.status()["outbox"]["dropped"] == {}
        assert "Traceback" not in node.output()
