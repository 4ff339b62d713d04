"""A rollout begins with a shadow: the new version beside the current one on a real node, seen from outside."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import INSPECTION, Fleet, fleet, serving_node, until

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]


def second(folder: Path) -> Path:
    """The demo's model as another version: the same network, which names two classes."""
    made = Path(shutil.copytree(INSPECTION, folder / "second"))
    text = (made / "model.toml").read_text()
    (made / "model.toml").write_text(text.replace('decode = "classification"', 'decode = "classification"\ntop_k = 2'))
    return made


def shadow_of(world: Fleet) -> dict[str, Any]:
    """What the node says of its shadow."""
    (deployment,) = world.status().get("deployments") or [{}]
    return dict(deployment.get("shadow") or {})


def compared_in(told: dict[str, Any]) -> int:
    return sum(one.get("compared", 0) for one in told.get("evidence", ()))


def compared(world: Fleet) -> int:
    return compared_in(shadow_of(world))


def results(world: Fleet) -> list[dict[str, Any]]:
    lines = world.run("edgectl", "results", "query", "--limit", "1000", "--json").splitlines()
    return [json.loads(line) for line in lines]


def test_the_candidate_of_a_rollout_is_compared_on_the_node_and_none_of_its_answers_leaves(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        serving_node(world)
        world.run("edgectl", "model", "push", str(second(tmp_path)))
        world.run("edgectl", "rollout", "create", "shelf", "--to", "inspection@2", "--shadow", "10m")
        until(lambda: compared(world) >= 20, "answers to be compared")
        told = shadow_of(world)
        assert told["state"] == "on"
        assert sum(one["agreed"] for one in told["evidence"]) >= 0.9 * compared_in(told), "it is the same network"
        assert world.serving() == {"shelf": 1}
        assert "SHADOW OF" in world.run("edge-node", "status", "--state-dir", "cam-3")
        world.run("edgectl", "rollout", "abort", "shelf")
        until(lambda: not shadow_of(world), "the shadow to end")
        assert world.status()["bytes"]["refused"] == {}
        seen = [one["data"] for one in results(world)]
        assert {one["version"] for one in seen} == {1}
        assert len({one["captured_at"] for one in seen}) == len(seen), "one answer to a frame"
