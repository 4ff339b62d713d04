"""What a node does with its desired state when things change or go wrong around it."""

import itertools
import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.fleet import CLIP, INSPECTION, Child, Fleet, bundle, deployment, fleet, serving_node, until

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(240)]

FRAMES, FRAMES_PER_S = 280, 20
"""of cockatoo.mp4"""


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A bundle of the real model."""
    folder = tmp_path_factory.mktemp("bundle")
    bundle(Fleet(folder), data, "mobilenet")
    return folder / "mobilenet"


def deployed(world: Fleet, mobilenet: Path, source: str) -> Child:
    """A coordinator and a node that serves version 1; the node."""
    world.coordinate()
    world.run("edgectl", "model", "push", str(mobilenet))
    node = world.node(source)
    until(lambda: "online" in world.run("edgectl", "node", "list"), "the node to be online")
    world.run("edgectl", "deployment", "apply", str(deployment(world, "mobilenet-v2@1")))
    until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve")
    return node


def stored(world: Fleet) -> list[dict[str, object]]:
    """The data of every result in the coordinator's store."""
    text = world.run("edgectl", "results", "query", "--node", "cam-3", "--limit", "100000", "--json")
    return [json.loads(line)["data"] for line in text.splitlines() if line.startswith("{")]


def test_a_new_version_takes_over_without_losing_or_doubling_a_frame(
    tmp_path: Path, data: Path, mobilenet: Path
) -> None:
    """Every frame of a film that plays round and round is answered once, by the old version and then by the new."""
    with fleet(tmp_path) as world:
        bundle(world, data, "second", "--top-k", "5")
        film = f"shelf={data / 'video' / 'cockatoo.mp4'},realtime=false,loop=true"
        node = deployed(world, mobilenet, film)
        world.run("edgectl", "model", "push", "second")
        world.run("edgectl", "deployment", "apply", "--now", str(deployment(world, "mobilenet-v2@2")))
        until(lambda: world.serving() == {"shelf": 2}, "version 2 to serve")
        last = world.status()["outbox"]["last_seq"]
        until(lambda: world.status()["outbox"]["acked"] > last, "results of version 2 in the store")
        node.stop()
        results = sorted(stored(world), key=lambda result: int(str(result["seq"])))
    frames = [round(float(str(result["stream_time_s"])) * FRAMES_PER_S) for result in results]
    assert [(after - before) % FRAMES for before, after in itertools.pairwise(frames)] == [1] * (len(frames) - 1)
    versions = [result["version"] for result in results]
    assert [version for version, _ in itertools.groupby(versions)] == [1, 2]


def test_a_node_restarted_without_coordinator_and_broker_runs_what_it_had(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        coordinator = world.coordinate()
        node = serving_node(world)
        until(lambda: world.status()["outbox"]["acked"] > 0, "a first acknowledgement")
        node.stop()
        coordinator.stop()
        world.node(CLIP)
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve again")
        first = world.status()["outbox"]["waiting"]
        until(lambda: world.status()["outbox"]["waiting"] > first + 10, "the outbox to grow")
        assert not world.status()["link"]["connected"]


def test_a_worker_that_is_killed_comes_back_with_its_pipelines(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        serving_node(world)
        agent = world.status()["pid"]
        os.kill(worker_of(agent), signal.SIGKILL)
        until(lambda: world.status()["worker"]["deaths"] == 1, "the death to be counted")
        before = world.status()["outbox"]["last_seq"]
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve again")
        until(lambda: world.status()["outbox"]["last_seq"] > before + 5, "results again")
        assert world.status()["pid"] == agent


def worker_of(agent: int) -> int:
    """The process id of the agent's worker."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text(encoding="ascii").split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return next(child for child, command in commands.items() if b"edge_node.worker" in command)


def test_a_version_that_disagrees_is_refused_with_numbers_and_the_running_one_goes_on(
    tmp_path: Path, data: Path, mobilenet: Path
) -> None:
    with fleet(tmp_path) as world:
        deployed(world, mobilenet, f"shelf={data / 'video' / 'cockatoo.mp4'},loop=true")
        bundle(world, data, "other", "--top-k", "2")
        spoil_golden(tmp_path / "other" / "golden" / "000.npz")
        world.run("edgectl", "model", "push", "other")
        world.run("edgectl", "deployment", "apply", "--now", str(deployment(world, "mobilenet-v2@2")))
        refused = until(lambda: failed(world), "version 2 to be refused")
        assert "agreement 0 against 1" in refused["reason"]
        assert refused["serving_version"] == 1
        assert world.serving() == {"shelf": 1}
        until(
            lambda: "agreement 0 against 1" in world.run("edgectl", "node", "show", "cam-3"),
            "the reason at the admin's",
        )


def failed(world: Fleet) -> dict[str, object] | None:
    """The report of a deployment that failed."""
    return next((one for one in world.status()["deployments"] if one["phase"] == "failed"), None)


def spoil_golden(path: Path) -> None:
    """Make the golden answer another class."""
    import numpy as np

    with np.load(path) as arrays:
        spoiled = {name: array[..., ::-1] if name.startswith("output") else array for name, array in arrays.items()}
    np.savez(path, **spoiled)


def test_an_unknown_source_and_a_missing_video_are_reported_with_what_to_do(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        world.run("edgectl", "model", "push", str(INSPECTION))
        world.node("shelf=/nowhere/film.mp4")
        until(lambda: "online" in world.run("edgectl", "node", "list"), "the node to be online")
        file = deployment(world, "inspection@1")
        world.run("edgectl", "deployment", "apply", str(file))
        assert "/nowhere/film.mp4" in until(lambda: reason(world, "film.mp4"), "the missing film to be reported")
        file.write_text(file.read_text(encoding="utf-8").replace("source: shelf", "source: door"), encoding="utf-8")
        world.run("edgectl", "deployment", "apply", str(file))
        assert "it has: shelf" in until(lambda: reason(world, "no source 'door'"), "the unknown source to be reported")


def reason(world: Fleet, part: str) -> str:
    """The reason of the deployment as the admin sees it, where it has a part."""
    text = world.run("edgectl", "node", "show", "cam-3")
    return text if part in text else ""


def test_a_second_agent_on_the_same_state_is_refused_in_one_line(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        first = world.node("shelf=/dev/null")
        until(lambda: world.status().get("link", {}).get("connected"), "the first agent")
        second = world.node("shelf=/dev/null")
        assert second.process.wait(20) == 4
        assert second.output().startswith("edge-node: another agent runs on")
        assert second.output().count("\n") == 1
        assert first.stop() == 0


def test_in_one_process_the_same_parts_run_as_threads(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        serving_node(world, "--isolation", "thread")
        agent = world.status()["pid"]
        assert Path(f"/proc/{agent}/task/{agent}/children").read_text(encoding="ascii").split() == []
        until(lambda: world.status()["outbox"]["acked"] > 5, "results in the store")
