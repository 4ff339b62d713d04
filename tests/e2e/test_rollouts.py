"""Rollouts with real agents: a good version goes through, a bad one stops at the canary and goes back."""

import json
from pathlib import Path

import pytest

from tests.conformance.worker_world import stub_bundle
from tests.e2e.fleet import CLIP, Fleet, deployment, fleet, until

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]

NODES = ("cam-1", "cam-2", "cam-3")
QUICK = ("--canary", "1", "--min-healthy", "1s", "--max-parallel", "100%", "--auto-promote", "--auto-revert")


def served(world: Fleet) -> list[dict[str, int]]:
    """Which version serves on each node."""
    return [world.serving(name) for name in NODES]


def test_three_agents_take_a_good_version_and_only_one_ever_sees_a_bad_one(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        for number, behaviour in enumerate(({}, {"delay_ms": 1}, {"fail_from": 30})):
            world.run("edgectl", "model", "push", str(stub_bundle(tmp_path / str(number) / "tired", **behaviour)))
        for name in NODES:
            world.node(CLIP, "--isolation", "thread", name=name)
        until(lambda: world.run("edgectl", "node", "list").count("online") == len(NODES), "the nodes")
        world.run("edgectl", "deployment", "apply", str(deployment(world, "tired@1")))
        until(lambda: served(world) == [{"shelf": 1}] * 3, "version 1 everywhere")
        plan = json.loads(world.run("edgectl", "rollout", "plan", "shelf", "--to", "tired@2", "--json"))
        assert [node["fits"] for node in plan["nodes"]] == [True] * 3
        gates = ("--gate", "error_rate<=0.01", "--min-samples", "5")
        world.run("edgectl", "rollout", "create", "shelf", "--to", "tired@2", *gates, *QUICK)
        watched = world.run("edgectl", "rollout", "watch", "shelf")
        assert "gate: error_rate<=0.01 passed: " in watched
        until(lambda: served(world) == [{"shelf": 2}] * 3, "version 2 everywhere")
        world.run("edgectl", "rollout", "create", "shelf", "--to", "tired@3", "--max-error-rate", "0.1", *QUICK)
        world.run("edgectl", "rollout", "watch", "shelf", code=1)
        shown = json.loads(world.run("edgectl", "rollout", "show", "shelf", "--json"))
        assert shown["state"] == "reverted"
        tried = [member for member in shown["members"] if member["stage"] != "waiting"]
        assert len(tried) == 1
        assert "the stub fails from run 30 on" in json.dumps(shown["events"])
        until(lambda: served(world) == [{"shelf": 2}] * 3, "version 2 everywhere again")
        assert "tired@2" in world.run("edgectl", "deployment", "list")
