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
    """The node dies three times in mid-stream, with its broker unreachable for part of the time."""
    for life in range(3):
        node = world.start_node(f"life{life}", 100_000, RATE)
        has_written(node, 300)
        world.kill_and_wipe_broker()
        has_written(node, 600)
        node.kill()
        world.start_broker()
    has_written(world.start_node("last", 50, RATE), 50)


def kill_brokers(world: World) -> None:
    """The broker dies three times and forgets everything, each time full of what a slow collector has not taken."""
    node = world.start_node("steady", 3000, RATE)
    for death in range(3):
        has_written(node, 600 * (death + 1))
        world.pause_collector()
        has_written(node, 600 * (death + 1) + 500)
        world.kill_and_wipe_broker()
        world.resume_collector()
        world.start_broker()
    has_written(node, 3000)


def kill_collectors(world: World) -> None:
    """The collector dies three times in mid-stream."""
    node = world.start_node("steady", 3000, RATE)
    for death in range(3):
        has_written(node, 600 * (death + 1))
        world.kill_collector()
        has_written(node, 600 * (death + 1) + 200)
        world.start_collector()
    has_written(node, 3000)


@pytest.mark.parametrize("schedule", [kill_nodes, kill_brokers, kill_collectors])
def test_whoever_is_killed_what_was_accepted_is_stored_exactly_once(
    schedule: Schedule, tmp_path: Path, program: Program
) -> None:
    control = run(schedule, tmp_path / "control", program, plain=True)
    assert control.lost > 0, "the schedule proves nothing"
    verdict = run(schedule, tmp_path / "nearfield", program, plain=False)
    assert (verdict.lost, verdict.twice, verdict.changed) == (0, 0, 0)
    assert verdict.accepted >= 1800


def test_repeating_and_reordering_every_message_changes_nothing(tmp_path: Path, program: Program) -> None:
    """A second client plays everything it hears back, many times and backwards, while the node still sends."""
    with World(tmp_path, program("mosquitto")) as world:
        heard: list[bytes] = []
        echo = Client(CallbackAPIVersion.VERSION2, "echo")
        echo.on_message = lambda _client, _data, message: _keep(heard, message)
        echo.tls_set(str(world.files.ca), str(world.files.certificate), str(world.files.key))
        echo.connect("127.0.0.1", world.port)
        echo.subscribe(DURABLE, 1)
        echo.loop_start()
        node = world.start_node("echoed", 1500, RATE)
        for wanted in (200, 700, 1500):
            has_written(node, wanted)
            for payload in (*reversed(heard[:300]), *heard[-100:], *heard[-100:]):
                echo.publish(DURABLE, payload, 1)
        world.await_all_stored()
        echo.disconnect()
        echo.loop_stop()
        verdict = world.verdict()
    assert (verdict.accepted, verdict.lost, verdict.twice, verdict.changed) == (1500, 0, 0, 0)


def _keep(heard: list[bytes], message: MQTTMessage) -> None:
    if len(heard) < 5000:
        heard.append(bytes(message.payload))
