"""The whole main job, as a person types it: a pushed model runs on a node, and its results reach people and store."""

import json
from pathlib import Path

import pytest

from tests.e2e.fleet import bundle, deployment, fleet, until
from tests.e2e.watched_coordinator import WATCHED

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(180)]


def test_a_pushed_model_runs_on_a_node_and_its_results_reach_subscribers_and_the_store(
    tmp_path: Path, data: Path
) -> None:
    with fleet(tmp_path) as world:
        world.coordinate(under=WATCHED)
        bundle(world, data, "mobilenet")
        assert "version 1" in world.run("edgectl", "model", "push", "mobilenet")
        assert "mobilenet-v2" in world.run("edgectl", "model", "list")

        node = world.node(f"shelf={data / 'video' / 'cockatoo.mp4'},loop=true")
        until(lambda: "online" in world.run("edgectl", "node", "list"), "the node to be online")
        world.run("edgectl", "deployment", "apply", str(deployment(world, "mobilenet-v2@1")))

        live = world.subscribe("edge/v1/live/store-12/+/shelf", "-C", "5", "-W", "50")
        events = [json.loads(payload) for _, payload in live]
        assert len(events) == 5, node.output()
        assert {topic for topic, _ in live} == {"edge/v1/live/store-12/cam-3/shelf"}
        assert all(event["data"]["version"] == 1 and event["data"]["outputs"] for event in events)

        ids = {event["id"] for event in events}
        command = ("edgectl", "results", "query", "--node", "cam-3", "--since", "5m", "--json")
        until(lambda: all(one in world.run(*command) for one in ids), "the results in the store")

        status = world.status()
        assert status["deployments"][0]["phase"] == "running"
        assert status["deployments"][0]["proof"]["status"] == "proven"
        assert status["pipelines"][0]["p95_ms"] > 0
        assert status["bytes"]["in"] > 0
        assert status["bytes"]["out"]["durable"] > 0
        assert "live" not in status["bytes"]["out"], "a result leaves once: the coordinator publishes it live"
        assert "proven" in world.run("edge-node", "status", "--state-dir", str(tmp_path / "cam-3"))

        assert node.stop() == 0
        until(lambda: "offline" in world.run("edgectl", "node", "list"), "the node to be offline")
        assert "Traceback" not in node.output()


def test_a_deleted_node_leaves_no_retained_message(tmp_path: Path, data: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate(under=WATCHED)
        node = world.node(f"shelf={data / 'images' / 'parrot.jpg'}")
        until(lambda: "online" in world.run("edgectl", "node", "list"), "the node to be online")
        until(lambda: any("/reported" in topic for topic in world.retained()), "the retained report")
        node.stop()
        until(lambda: "offline" in world.run("edgectl", "node", "list"), "the node to be offline")
        world.run("edgectl", "node", "delete", "cam-3")
        until(lambda: world.retained() == {}, "an empty broker", 20.0)
