"""Who a client is at the broker: what its certificate says, and nothing else that it says (promise S5).

On every broker that a coordinator brings along. Where the attack works without the defence, a control arm shows it.
"""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.link import mosquitto_files
from coordinator.link.access import AccessTable, Place
from coordinator.link.embedded import broker as embedded_broker
from coordinator.link.embedded import hub
from coordinator.link.embedded.handshakes import Handshakes
from protos.identity import NodeId
from tests.authorities import Authority, Files
from tests.conformance.broker_world import WAIT_S, World, context, running_world, until, with_observer
from tests.conformance.test_brokers import connect_packet

A, B = NodeId("a" * 32), NodeId("b" * 32)
TABLE = AccessTable({A: Place("store-12", "cam-3"), B: Place("store-13", "cam-3")}, frozenset({"viewer:v"}))
STATUS = f"edge/v1/nodes/{A}/status"


@pytest.fixture
def world(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A running broker with the rules on, and an observer."""
    with_observer(monkeypatch)
    with running_world(kind, tmp_path, TABLE) as running:
        yield running


def answer(world: World, files: Files | None) -> bytes:
    """What the broker says to a CONNECT; nothing where TLS fails."""
    client = context(files, world.authority.ca)
    client.check_hostname = False
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", world.port)) as raw:
        raw.settimeout(WAIT_S)
        with client.wrap_socket(raw) as connection:
            connection.sendall(connect_packet("x"))
            return connection.recv(4)
    return b""


def test_a_certificate_of_the_authority_lets_in(world: World) -> None:
    assert answer(world, world.files(A)) == b"\x20\x02\x00\x00"


def test_no_certificate_keeps_out(world: World) -> None:
    assert answer(world, None) == b""


def test_a_certificate_of_another_authority_keeps_out(world: World, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger").issue(A)
    assert answer(world, stranger) == b""


def test_one_of_another_authority_of_the_same_name_keeps_out(world: World, tmp_path: Path) -> None:
    assert answer(world, Authority(tmp_path / "twin", "test authority").issue("coordinator")) == b""


@pytest.mark.parametrize("common_name", [str(A), "coordinator"])
def test_a_servers_certificate_keeps_a_client_out(world: World, common_name: str) -> None:
    assert answer(world, world.authority.issue(common_name, server=True)) == b""


def test_an_expired_certificate_keeps_out(world: World) -> None:
    assert answer(world, world.authority.issue(A, expired=True)) == b""


def test_plaintext_gets_no_answer(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.port)) as raw:
        raw.settimeout(WAIT_S)
        raw.sendall(connect_packet("x"))
        with contextlib.suppress(ConnectionResetError):
            assert not raw.recv(4).startswith(b"\x20")


def test_a_user_name_says_nothing(world: World) -> None:
    watching = world.peer("tester-observer").subscribe("#")
    for spoofed in (str(A), "coordinator"):
        other = world.unconnected(B)
        other.client.username_pw_set(spoofed, "secret")
        other.connect().publish(STATUS, b"forged")
        other.close()
    world.peer(B).publish(f"edge/v1/nodes/{B}/status", b"own")
    assert watching.next().payload == b"own"


def test_two_sites_with_equal_node_names_do_not_see_each_other(world: World) -> None:
    watching = world.peer("tester-observer").subscribe("#")
    node = world.peer(B)
    node.publish("edge/v1/live/store-12/cam-3/shelf", b"forged")
    node.publish("edge/v1/live/store-13/cam-3/shelf", b"own")
    assert watching.next().payload == b"own"


def steal(world: World, client_id: str) -> bool:
    """Whether another principal ends a node's session by claiming its client id."""
    victim = world.peer(A, client_id).subscribe(f"edge/v1/nodes/{A}/desired")
    thief = world.peer(B, client_id)
    thief.publish(f"edge/v1/nodes/{B}/hello", b"there")
    world.peer("tester-0").publish(f"edge/v1/nodes/{A}/desired", b"for the victim")
    ended = victim.down.wait(0.3)
    assert ended or victim.next().payload == b"for the victim"
    return ended


@pytest.mark.parametrize("client_id", ["same", str(A), "coordinator"])
def test_a_session_cannot_be_taken_over_by_its_client_id(world: World, client_id: str) -> None:
    assert not steal(world, client_id)


def test_a_session_could_be_taken_over_were_client_ids_not_bound_to_certificates(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_observer(monkeypatch)
    bound = "use_username_as_clientid true"
    monkeypatch.setattr(mosquitto_files, "LISTENER", mosquitto_files.LISTENER.replace(bound, bound[:-4] + "false"))
    monkeypatch.setattr(hub, "session_of", lambda client: ("anybody", client.client_id))
    with running_world(kind, tmp_path, TABLE) as running:
        assert steal(running, "same")


def test_a_newer_connection_of_a_node_ends_its_older_one(world: World) -> None:
    older = world.peer(A, "same")
    newer = world.peer(A, "same")
    assert older.down.wait(WAIT_S)
    watching = world.peer("tester-observer").subscribe("#")
    newer.publish(STATUS, b"online")
    assert watching.next().payload == b"online"


def test_handshakes_that_say_nothing_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than the embedded broker has room for: the oldest end, and all end in time."""

    def short(*arguments: object) -> Handshakes:
        return Handshakes(*arguments, limit=20, timeout_s=1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(embedded_broker, "Handshakes", short)
    with running_world("embedded", tmp_path, TABLE) as world, contextlib.ExitStack() as strangers:
        silent = [strangers.enter_context(silent_stranger(world.port)) for _ in range(100)]
        assert answer(world, world.files(A)) == b"\x20\x02\x00\x00"
        assert all(hung_up(stranger) for stranger in silent)


def test_a_principal_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    with running_world("embedded", tmp_path, TABLE) as world, contextlib.ExitStack() as connections:
        for _ in range(hub.MAX_CONNECTIONS_EACH):
            connections.enter_context(world.socket("viewer:v")).sendall(connect_packet(""))
        assert until(lambda: answer(world, world.files("viewer:v")) == b"")
        assert answer(world, world.files(A)) == b"\x20\x02\x00\x00"


@contextlib.contextmanager
def silent_stranger(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.settimeout(WAIT_S)
        yield raw


def hung_up(raw: socket.socket) -> bool:
    try:
        return raw.recv(1) == b""
    except ConnectionResetError:
        return True
