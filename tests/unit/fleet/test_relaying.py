"""Whose live results are relayed, and where, as the fleet's tables say it; and when to look again."""

import asyncio
from dataclasses import replace

import pytest

from coordinator.db.control import ControlStore
from coordinator.parts.relaying import relayed_place
from coordinator.results.live_places import LivePlace
from protos.deployment import Deployment, Live, Pipeline
from protos.identity import NodeId
from protos.topics import Kind
from tests.unit.fleet.test_controller import World, until

PIPELINES = (
    Pipeline("shelf", "shelf", live=Live(qos=1)),
    Pipeline("door", "shelf"),
    Pipeline("quiet", "shelf", live=Live(enabled=False)),
)
SPEC = Deployment("shelf", "site=store-12", "m@1", PIPELINES)


def node_that_says(world: World, way: str) -> NodeId:
    """A node that runs SPEC and says how its live results reach their subscribers."""
    node = world.register()
    world.deployments.apply(SPEC, dry_run=False)
    with world.store.write() as tx:
        tx.nodes.put(replace(node, facts=type(node.facts)(live=way)))
    return node.id


def test_a_node_that_has_them_relayed_is_relayed_under_todays_name(store: ControlStore) -> None:
    world = World(store)
    node = node_that_says(world, "relayed")
    assert relayed_place(store, node) == LivePlace("store-12", "cam-3", {"shelf": 1, "door": 0})
    world.nodes.rename("cam-3", "till-1", "")
    assert relayed_place(store, node) == LivePlace("store-12", "till-1", {"shelf": 1, "door": 0})


@pytest.mark.parametrize("way", ["", "direct", "site", "off", "a way of tomorrow"])
def test_of_any_other_node_nothing_is_relayed(store: ControlStore, way: str) -> None:
    """Also of an agent that does not say, because it is of before: it publishes them itself."""
    assert relayed_place(store, node_that_says(World(store), way)) is None


def test_of_a_node_that_is_not_known_nothing_is_relayed(store: ControlStore) -> None:
    assert relayed_place(store, NodeId("f" * 32)) is None


async def test_after_a_hello_is_in_the_database_the_relay_looks_again(store: ControlStore) -> None:
    world = World(store)
    node = world.register()
    said: list[str] = []
    world.controller._on_said = lambda: said.append("hello")
    async with world.running():
        await asyncio.to_thread(world.says, node.id, Kind.HELLO, world.hello(node.id, None))
        await until(lambda: said == ["hello"])
    assert world.known(node.id).last_seen is not None
