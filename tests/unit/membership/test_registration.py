"""Registering again: the broker may have moved while the node was not looking."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge_node.config import NodeConfig
from edge_node.errors import Unreachable
from edge_node.link.coordinator import Dial
from edge_node.link.tls import Credentials
from edge_node.membership import registration
from edge_node.membership.identity import Identity
from tests.unit.supervisor.world import NODE

NOBODY = Credentials("node.pem", "node.key", "ca.pem")
FOUND = Identity(NODE, "127.0.0.1:1", "mqtt://127.0.0.1:2", "edge/v1", (b"k" * 32,), "cam", "store")


class World:
    """A coordinator that answers, or fails, as told; connected or not, as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.connected = True
        self.failure: Exception | None = None
        self.asked = 0
        self.taken = 0
        monkeypatch.setattr(registration, "join", self._join)
        for name, value in (("FIRST_S", 0.01), ("LONGEST_S", 0.02), ("LOOK_S", 0.01), ("PATIENCE_S", 0.05)):
            monkeypatch.setattr(registration, name, value)
        config = NodeConfig(state_dir=str(tmp_path))
        self.answer = FOUND
        self.registration = registration.Registration(
            config, lambda: FOUND, lambda: self.connected, self._take, lambda address: Dial(address, NOBODY)
        )

    async def _join(self, *_: object) -> Identity:
        self.asked += 1
        return self.answer

    async def _take(self, _: Identity) -> None:
        self.taken += 1
        if self.failure is not None:
            raise self.failure

    async def asks(self, times: int) -> None:
        """Wait until it has asked so often."""
        async with asyncio.timeout(10):
            while self.asked < times:  # noqa: ASYNC110 - a test looks
                await asyncio.sleep(0.005)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


async def test_a_node_that_is_connected_asks_once_and_again_only_when_the_connection_stays_away(world: World) -> None:
    task = asyncio.create_task(world.registration.run("{}"))
    await world.asks(1)
    await asyncio.sleep(0.2)
    assert world.asked == 1
    world.connected = False
    await world.asks(4)
    task.cancel()
    assert world.registration.state.startswith("registered with the coordinator at 127.0.0.1:1")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), Unreachable("nobody there")])
async def test_an_answer_that_cannot_be_kept_is_asked_for_again(world: World, failure: Exception) -> None:
    world.failure, world.connected = failure, False
    task = asyncio.create_task(world.registration.run("{}"))
    await world.asks(3)
    assert world.registration.state.startswith(f"not registered: {failure} (running what this node has)")
    world.failure = None
    await world.asks(5)
    assert world.registration.state.startswith("registered")
    task.cancel()


async def test_news_of_a_root_right_after_another_are_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "LOOK_AGAIN_S", 0.3)
    task = asyncio.create_task(world.registration.run("{}"))
    await world.asks(1)
    world.registration.look_again()
    await world.asks(2)
    world.registration.look_again()
    await asyncio.sleep(0.15)
    assert world.asked == 2  # not at once: whoever sends rubbish makes no node ask without end
    await world.asks(3)
    await asyncio.sleep(0.4)
    assert world.asked == 3
    task.cancel()


async def test_news_of_a_root_right_after_one_that_was_there_are_looked_for_at_once(world: World) -> None:
    task = asyncio.create_task(world.registration.run("{}"))
    await world.asks(1)
    world.answer = msgspec.structs.replace(FOUND, roots=(b"a newer one",))
    world.registration.look_again()
    await world.asks(2)
    world.registration.look_again()
    await world.asks(3)
    task.cancel()


async def test_news_of_a_root_count_until_the_coordinator_has_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker is another process: it may be there while the coordinator is not."""
    monkeypatch.setattr(registration, "LOOK_AGAIN_S", 0.05)
    task = asyncio.create_task(world.registration.run("{}"))
    await world.asks(1)
    world.failure = Unreachable("nobody there")
    world.registration.look_again()
    await world.asks(4)
    world.failure = None
    await world.asks(5)
    task.cancel()
