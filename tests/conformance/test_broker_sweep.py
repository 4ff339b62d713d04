"""A sweep of a place clears what was left there, and spares what a new node of the same name has retained meanwhile."""

import time
from pathlib import Path

import pytest

from coordinator.link import broker
from coordinator.link.access import AccessTable, Place
from coordinator.link.broker import BrokerClient, own_identity
from coordinator.link.tls import TlsFiles
from protos.identity import NodeId
from tests.conformance.broker_world import World, running_world, until

NODE = NodeId("a" * 32)
TABLE = AccessTable({NODE: Place("store-12", "cam-3")}, frozenset({"viewer:v"}))
LIVE = "edge/v1/live/store-12/cam-3"
AVAILABILITY, PLANTED = f"{LIVE}/availability", f"{LIVE}/planted"


def retained(world: World) -> set[str]:
    """What a new viewer gets."""
    viewer = world.peer("viewer:v", client_id="v").subscribe("edge/v1/live/#")
    time.sleep(0.3)
    found = set()
    while not viewer.received.empty():
        found.add(viewer.next().topic)
    return found


@pytest.mark.parametrize("asked_at", ["clearing", "beginning"])
def test_a_node_enrolled_again_while_its_place_is_swept_keeps_its_availability(
    asked_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "SWEEP_S", 2.0)
    in_use: set[str] = set()
    begun_with = frozenset(in_use)
    with running_world("embedded", tmp_path, TABLE) as world:
        files = world.files("coordinator")
        client = BrokerClient(own_identity(world.broker.url, TlsFiles(files.ca, files.certificate, files.key)))
        world.run(client.start())
        assert until(lambda: client.connected)
        node = world.peer(NODE)
        node.publish(PLANTED, b"old", retain=True)
        assert client.sweep(f"{LIVE}/#", lambda: frozenset(in_use) if asked_at == "clearing" else begun_with)
        assert until(lambda: PLANTED not in retained(world))
        in_use.add(AVAILABILITY)  # enrolled again
        node.publish(AVAILABILITY, b"online", retain=True)
        node.publish(PLANTED, b"once more", retain=True)
        assert until(lambda: PLANTED not in retained(world))
        time.sleep(0.5)
        assert (AVAILABILITY in retained(world)) is (asked_at == "clearing")
        world.run(client.stop())
