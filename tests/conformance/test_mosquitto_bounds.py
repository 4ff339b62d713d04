"""What one client can make a Mosquitto keep is bounded, with the configuration that the coordinator writes."""

import contextlib
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.link import mosquitto_files
from coordinator.link.access import AccessTable, Place
from protos.identity import NodeId
from protos.topics import MAX_PAYLOAD
from tests.conformance.broker_world import WAIT_S, Peer, World, running_world

pytestmark = pytest.mark.needs("mosquitto")

NODE, VIEWER = NodeId("a" * 32), "viewer:v"
TABLE = AccessTable({NODE: Place("store-12", "cam-3")}, frozenset({VIEWER}))
LIVE = "edge/v1/live/store-12/cam-3/shelf"
MESSAGES, SIZE = 40, 50_000
UNBOUNDED = 0


@contextlib.contextmanager
def bounded_world(folder: Path, patch: pytest.MonkeyPatch, queued_bytes: int) -> Iterator[World]:
    patch.setattr(mosquitto_files, "MAX_QUEUED_BYTES", queued_bytes)
    with running_world("mosquitto", folder, TABLE) as world:
        yield world


def viewer(world: World) -> Peer:
    """With a session that the broker stores."""
    peer = world.unconnected(VIEWER, VIEWER)
    peer.client._clean_session = False
    return peer.connect()


@pytest.mark.parametrize(("limit", "all_kept"), [(10 * SIZE, False), (UNBOUNDED, True)])
def test_a_viewer_who_is_away_queues_up_to_a_number_of_bytes(
    limit: int, all_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bounded_world(tmp_path, monkeypatch, limit) as world:
        viewer(world).subscribe("edge/v1/live/#").close()
        node = world.peer(NODE)
        for _ in range(MESSAGES):
            node.publish(LIVE, bytes(SIZE))
        back = viewer(world)
        node.publish(LIVE, b"end")
        kept = 0
        while back.next().payload != b"end":
            kept += 1
    assert (kept == MESSAGES) is all_kept
    assert all_kept or 5 <= kept <= 12


@pytest.mark.parametrize("bounded", [True, False])
def test_a_client_that_announces_a_packet_of_a_megabyte_is_sent_away(
    bounded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bounded:
        lines = mosquitto_files.LISTENER.splitlines(keepends=True)
        unbounded = "".join(line for line in lines if not line.startswith("max_packet_size"))
        monkeypatch.setattr(mosquitto_files, "LISTENER", unbounded)
    with running_world("mosquitto", tmp_path, TABLE) as world, world.socket(VIEWER) as connection:
        connection.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02" + struct.pack(">H", 60) + b"\x00\x02me")
        assert connection.recv(4) == b"\x20\x02\x00\x00"
        connection.sendall(b"\x82\xc0\x84\x3d")  # SUBSCRIBE, 1,000,000 bytes
        connection.settimeout(WAIT_S if bounded else 1.0)
        assert is_ended(connection) is bounded


def is_ended(connection: ssl.SSLSocket) -> bool:
    """Whether the broker closed it, with or without a farewell."""
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except (ssl.SSLEOFError, ConnectionResetError):
        return True


def test_the_bound_leaves_room_for_what_the_coordinator_waits_for() -> None:
    assert mosquitto_files.MAX_QUEUED_BYTES >= 1000 * 2 * MAX_PAYLOAD
