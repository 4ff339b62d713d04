"""The main job in its other arrangements: the embedded broker, everything in one process; and a model that fails."""

import itertools
import json
import shutil
from pathlib import Path

import pytest

from tests.conformance.worker_world import stub_bundle
from tests.e2e.fleet import CLIP, INSPECTION, Fleet, deployment, fleet, serving_node, until
from tests.e2e.recorder import stored
from tests.e2e.watched_coordinator import WATCHED

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(120)]

FRAME_S = 0.05
"""of line.mp4"""


def test_first_light_through_the_embedded_broker(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.run("edge-coordinator", "init", "--dir", "coord", "--port", "0", "--broker-port", "0", "--no-announce")
        with (tmp_path / "coord" / "coordinator.toml").open("a", encoding="utf-8") as config:
            config.write('own_broker = "embedded"\n')
        coordinator = world.coordinate(under=WATCHED)
        assert "(embedded)" in coordinator.output()
        node = serving_node(world)
        live = world.subscribe("edge/v1/live/store-12/+/shelf", "-C", "5", "-W", "30")
        ids = {json.loads(payload)["id"] for _, payload in live}
        assert len(ids) == 5
        query = ("edgectl", "results", "query", "--node", "cam-3", "--json")
        until(lambda: all(one in world.run(*query) for one in ids), "the live results in the store")
        assert any(topic.endswith("/reported") for topic in world.retained())
        assert node.stop() == 0
        until(lambda: "offline" in world.run("edgectl", "node", "list"), "the node to be offline")
        world.run("edgectl", "node", "delete", "cam-3")
        until(lambda: world.retained() == {}, "an empty broker")
        assert coordinator.stop() == 0
        assert "Traceback" not in coordinator.output()


def push_second_version(world: Fleet) -> None:
    """The demo's model again, with another description."""
    shutil.copytree(INSPECTION, world.folder / "second")
    manifest = world.folder / "second" / "model.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("Flanges", "Parts"), encoding="utf-8")
    assert "version 2" in world.run("edgectl", "model", "push", "second")


def test_in_threads_too_a_new_version_takes_over_without_losing_or_doubling_a_frame(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        node = serving_node(world, "--isolation", "thread", source=f"{CLIP},realtime=false,fps=10")
        push_second_version(world)
        world.run("edgectl", "deployment", "apply", "--now", str(deployment(world, "inspection@2")))
        until(lambda: world.serving() == {"shelf": 2}, "version 2 to serve")
        last = world.status()["outbox"]["last_seq"]
        until(lambda: world.status()["outbox"]["acked"] > last + 20, "results of version 2 in the store")
        assert node.stop() == 0
        assert "Traceback" not in node.output()
        events = [json.loads(event)["data"] for event in stored(tmp_path / "coord" / "results.db")]
    assert [data["version"] for data in events] == sorted(data["version"] for data in events)
    assert {data["version"] for data in events} == {1, 2}
    times = [data["stream_time_s"] for data in events]
    steps = {round(after - before, 3) for before, after in itertools.pairwise(times) if after > before}
    assert steps == {2 * FRAME_S}


def test_a_version_that_fails_on_every_frame_is_reported_with_its_error_and_relieved(tmp_path: Path) -> None:
    """Given a good version, when one that tires takes over, then it is reported and the good one serves."""
    with fleet(tmp_path) as world:
        world.coordinate()
        world.run("edgectl", "model", "push", str(stub_bundle(tmp_path / "good" / "tired")))
        world.run("edgectl", "model", "push", str(stub_bundle(tmp_path / "bad" / "tired", fail_from=400)))
        world.node(f"{CLIP},realtime=false")
        until(lambda: "online" in world.run("edgectl", "node", "list"), "the node to be online")
        world.run("edgectl", "deployment", "apply", str(deployment(world, "tired@1")))
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve")
        world.run("edgectl", "deployment", "apply", "--now", str(deployment(world, "tired@2")))
        why = "pipeline 'shelf' fails: the stub fails from run 400 on"
        until(lambda: why in world.run("edgectl", "node", "show", "cam-3"), "the error in edgectl node show")
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to relieve it")
        last = world.status()["outbox"]["last_seq"]
        until(lambda: world.status()["outbox"]["last_seq"] > last + 20, "results again")
