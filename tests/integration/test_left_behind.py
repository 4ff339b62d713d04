"""What a hostile node leaves at the broker for those who come after it: cleared when it goes, wherever it lies."""

import asyncio
import contextlib
import queue
from pathlib import Path

import pytest

from coordinator.app import Coordinator
from coordinator.authority.credential import Credential
from protos.identity import NodeId
from tests.authorities import Files
from tests.conformance.broker_world import Peer
from tests.coordinators import credential_for, edgectl, enrolled, running_coordinator
from tests.waiting import comes_true

WAIT_S = 20.0
PLACE = "edge/v1/live/store-12/cam-3"


def peer(coordinator: Coordinator, credential: Credential, folder: Path) -> Peer:
    """A plain client that logs in with a credential."""
    folder.mkdir(exist_ok=True)
    files = Files(folder / "ca", folder / "certificate", folder / "key")
    for file, content in zip(
        vars(files).values(), (credential.authorities, credential.certificate, credential.key), strict=True
    ):
        file.write_bytes(content)
    return Peer(int(coordinator.broker_url.rpartition(":")[2]), files).connect()


def planted(node: NodeId) -> dict[str, bytes]:
    """Messages on topics that a node may write and no deployment names."""
    return {
        f"{PLACE}/shelf": b"a result for ever",
        f"{PLACE}/shelf/count": b"99",
        f"homeassistant/device/{node}/config": b'{"name":"a door lock"}',
    }


def retained(viewer: Peer) -> dict[str, bytes]:
    """What a dashboard that starts now is told."""
    while not viewer.received.empty():
        viewer.received.get_nowait()
    assert all([viewer.asks_for("edge/v1/live/#"), viewer.asks_for("homeassistant/#")])
    found: dict[str, bytes] = {}
    with contextlib.suppress(queue.Empty):  # nothing more comes
        while True:
            message = viewer.received.get(timeout=0.5)
            if message.retain and message.payload:
                found[message.topic] = bytes(message.payload)
    return found


@pytest.mark.parametrize("broker", ["embedded", pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto"))])
@pytest.mark.parametrize("how", [("delete", "cam-3", "--force"), ("revoke", "cam-3"), ("rename", "cam-3", "cam-4")])
async def test_nothing_that_a_node_planted_outlives_its_place(
    broker: str, how: tuple[str, ...], tmp_path: Path
) -> None:
    async with running_coordinator(tmp_path / "coord", own_broker=broker) as coordinator:
        node, viewer = await enrolled(coordinator), await credential_for(coordinator, "viewer", "dashboard")
        hostile = await asyncio.to_thread(peer, coordinator, node.credential, tmp_path / "node")
        watching = await asyncio.to_thread(peer, coordinator, viewer, tmp_path / "viewer")
        messages = planted(node.id)

        def is_there() -> bool:  # the rules may still be on their way
            for topic, payload in messages.items():
                hostile.publish(topic, payload, retain=True)
            return messages.items() <= retained(watching).items()

        await comes_true(is_there)  # the control arm: it is allowed to, and whoever subscribes is told
        assert await edgectl(coordinator, "node", *how) == 0
        kept = {f"homeassistant/device/{node.id}/config"} if how[0] == "rename" else set()
        await comes_true(lambda: set(retained(watching)) - {f"{PLACE}/availability"} == kept)
        hostile.close()
        watching.close()
