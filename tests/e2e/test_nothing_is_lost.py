"""Kills at the worst moment, judged by a recorder that believes neither side's counters; a control arm must fail.

What was accepted is what the node itself wrote down before it died; what is stored is read from the file with the
standard library. The control arm does what everyone does first: QoS 1 and nothing else. It runs the same schedule and
must lose results, else the schedule proves nothing.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.durable.node import DURABLE
from tests.durable.world import Child, Verdict, World, until
from tests.sizes import random_of, times, tried

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.timeout(180)]

RATE = 1500.0
Program = Callable[[str], str]
Schedule = Callable[[World], None]


def run(schedule: Schedule, folder: Path, program: Program, *, plain: bool) -> Verdict:
    """One arm of a schedule."""
    folder.mkdir()
    with World(folder, program("mosquitto"), plain=plain) as world:
        schedule(world)
        if plain:
            settle(world)
        else:
            world.await_all_stored()
        return world.verdict()


def settle(world: World) -> None:
    """Wait until nothing more is stored."""
    before = -1
    while before != (stored := len(world.stored())):
        before = stored
        time.sleep(1.5)


def has_written(node: Child, count: int) -> None:
    until(lambda: len(node.lines) >= count, f"the node has accepted {count}")


def kill_nodes(world: World) -> None:
    """The node dies in mid-stream, over and over, with its broker unreachable for part of the time."""
    chance = random_of("node")
    for life in range(times(3)):
        node = world.start_node(f"life{life}", 100_000, RATE)
        has_written(node, chance.randrange(200, 400))
        world.kill_and_wipe_broker()
        has_written(node, chance.randrange(500, 700))
        node.kill()
        world.start_broker()
        tried["kills of a node (R1)"] += 1
    has_written(world.start_node("last", 50, RATE), 50)


def kill_brokers(world: World) -> None:
    """The broker dies and forgets everything, over and over, each time full of what a slow collector has not taken."""
    deaths, chance = times(3), random_of("broker")
    node = world.start_node("steady", 600 * (deaths + 2), RATE)
    for death in range(deaths):
        has_written(node, 600 * (death + 1) + chance.randrange(100))
        world.pause_collector()
        has_written(node, 600 * (death + 1) + chance.randrange(400, 600))
        world.kill_and_wipe_broker()
        world.resume_collector()
        world.start_broker()
        tried["kills of a broker, wiped (R3)"] += 1
    has_written(node, 600 * (deaths + 2))


def kill_collectors(world: World) -> None:
    """The collector dies in mid-stream, over and over."""
    deaths, chance = times(3), random_of("collector")
    node = world.start_node("steady", 600 * (deaths + 2), RATE)
    for death in range(deaths):
        has_written(node, 600 * (death + 1) + chance.randrange(100))
        world.kill_collector()
        has_written(node, 600 * (death + 1) + chance.randrange(150, 250))
        world.start_collector()
        tried["kills of a collector (R10)"] += 1
    has_written(node, 600 * (deaths + 2))


@pytest.mark.soak
@pytest.mark.parametrize("schedule", [kill_nodes, kill_brokers, kill_collectors])
def test_whoever_is_killed_what_was_accepted_is_stored_exactly_once(
    schedule: Schedule, tmp_path: Path, program: Program
) -> None:
    control = run(schedule, tmp_path / "control", program, plain=True)
    assert control.lost > 0, "the schedule proves nothing"
    verdict = run(schedule, tmp_path / "nearfield", program, plain=False)
    assert (verdict.lost, verdict.twice, verdict.changed) == (0, 0, 0)
    assert verdict.accepted >= 1800


@pytest.mark.soak
def test_repeating_and_reordering_every_message_changes_nothing(tmp_path: Path, program: Program) -> None:
    """A second client plays what it hears back, over and over, backwards and shuffled, while the node sends."""
    chance, rounds = random_of("echo"), times(3)
    with World(tmp_path, program("mosquitto")) as world:
        heard: list[bytes] = []
        echo = Client(CallbackAPIVersion.VERSION2, "echo")
        echo.on_message = lambda _client, _data, message: _keep(heard, message)
        echo.tls_set(str(world.files.ca), str(world.files.certificate), str(world.files.key))
        echo.connect("127.0.0.1", world.port)
        echo.subscribe(DURABLE, 1)
        echo.loop_start()
        node = world.start_node("echoed", 500 * rounds, RATE)
        for part in range(rounds):
            has_written(node, 500 * part + chance.randrange(100, 500))
            known = heard[-2000:]
            for payload in (*reversed(known[:300]), *known[-100:], *chance.sample(known, min(300, len(known)))):
                echo.publish(DURABLE, payload, 1)
                tried["messages repeated out of their order (R2, R7)"] += 1
        world.await_all_stored()
        echo.disconnect()
        echo.loop_stop()
        verdict = world.verdict()
    assert (verdict.accepted, verdict.lost, verdict.twice, verdict.changed) == (500 * rounds, 0, 0, 0)


def _keep(heard: list[bytes], message: MQTTMessage) -> None:
    heard.append(bytes(message.payload))
    del heard[:-5000]
