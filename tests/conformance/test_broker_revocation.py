"""A revoked node is out (promise S4), and other changes of the rules at run time: on every broker of the coordinator's.

The rules come from a table, by the loop that the coordinator runs (`AccessControl`), over its own connection.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.link import access_control, mosquitto
from coordinator.link.access import AccessTable, Place
from coordinator.link.access_control import AccessControl
from coordinator.link.broker import BrokerClient, own_identity
from coordinator.link.dynamic_security import State, read_state, steps, wanted_state
from coordinator.link.tls import TlsFiles
from protos.identity import NodeId
from tests.conformance.broker_world import TOPICS, WAIT_S, Peer, World, running_world, until, with_observer

A, B = NodeId("a" * 32), NodeId("b" * 32)
BOTH = {A: Place("store-12", "cam-3"), B: Place("store-13", "cam-3")}
TABLE = AccessTable(BOTH, frozenset({"viewer:v"}))
WITHOUT_A = AccessTable({B: BOTH[B]}, frozenset({"viewer:v"}))
STATUS, DESIRED = f"edge/v1/nodes/{A}/status", f"edge/v1/nodes/{A}/desired"
REVOKED_WITHIN_S = 60.0


class Ruled:
    """A broker with the coordinator's loop beside it; `set` changes the table that the loop reads."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.table = TABLE
        coordinator = world.files("coordinator")
        files = TlsFiles(coordinator.ca, coordinator.certificate, coordinator.key)
        self.client = BrokerClient(own_identity(world.broker.url, files))
        self.control = AccessControl(lambda: self.table, self.client, world.broker, TOPICS)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.client.start()
        self.task = asyncio.create_task(self.control.run())

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self.client.stop()

    def set(self, table: AccessTable) -> None:
        self.table = table
        self.control.wake()


@pytest.fixture
def ruled(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ruled]:
    """A running broker, its loop connected, and an observer whose rights are not the coordinator's affair."""
    with_observer(monkeypatch)
    with running_world(kind, tmp_path, TABLE) as world:
        made = Ruled(world)
        world.run(made.start())
        assert until(lambda: made.client.connected)
        yield made
        world.run(made.stop())


def watching(ruled: Ruled) -> Peer:
    return ruled.world.peer("tester-observer").subscribe("edge/v1/nodes/#").subscribe("edge/v1/live/#")


def passes(source: Peer, watcher: Peer, topic: str) -> bool:
    """Whether a message of a client arrives, as the observer sees it."""
    source.publish(topic, b"probe")
    watcher.publish("edge/v1/nodes/end", b"end")
    found = []
    while (message := watcher.next()).topic != "edge/v1/nodes/end":
        found.append(message.topic)
    return topic in found


def test_a_connected_node_that_is_revoked_is_sent_away_and_kept_out(ruled: Ruled) -> None:
    watcher, node = watching(ruled), ruled.world.unconnected(A)
    node.client.will_set(f"edge/v1/nodes/{A}/durable", b"a result", 1)
    node.connect().subscribe(DESIRED)
    assert passes(node, watcher, STATUS)  # the control arm
    begin = time.monotonic()
    ruled.set(WITHOUT_A)
    assert node.down.wait(WAIT_S)
    assert time.monotonic() - begin < REVOKED_WITHIN_S
    assert_powerless(ruled, watcher)
    assert watcher.payloads() == []  # not even its will


def assert_powerless(ruled: Ruled, watcher: Peer) -> None:
    """A revoked node connects again: refused, or nothing that it says arrives and nothing is sent to it."""
    again = ruled.world.peer(A)
    if again.code == 0:
        assert not passes(again, watcher, STATUS)
        assert not again.asks_for(DESIRED)
        ruled.world.peer("tester-9").publish(DESIRED, b"secret")
        assert watcher.next().payload == b"secret"
        assert again.received.empty()
    else:
        assert again.code == 0x87  # not authorized
        assert ruled.world.broker.kind == "embedded"


def test_a_node_that_is_revoked_while_it_is_away_stays_out(ruled: Ruled) -> None:
    node = ruled.world.peer(A).subscribe(DESIRED)
    node.close()
    ruled.set(WITHOUT_A)
    watcher, other = watching(ruled), ruled.world.peer(A)
    assert until(lambda: other.code != 0 or not passes(other, watcher, STATUS))
    assert_powerless(ruled, watcher)


def test_others_notice_nothing(ruled: Ruled) -> None:
    other, viewer = ruled.world.peer(B).subscribe(f"edge/v1/nodes/{B}/desired"), ruled.world.peer("viewer:v")
    node = ruled.world.peer(A)
    ruled.set(WITHOUT_A)
    assert node.down.wait(WAIT_S)
    assert passes(other, watching(ruled), f"edge/v1/nodes/{B}/status")
    assert not other.down.is_set()
    assert not viewer.down.is_set()


def test_a_node_that_is_called_otherwise_has_other_live_topics_and_keeps_its_connection(ruled: Ruled) -> None:
    watcher, node = watching(ruled), ruled.world.peer(A)
    before, after = "edge/v1/live/store-12/cam-3/shelf", "edge/v1/live/store-12/door/shelf"
    assert passes(node, watcher, before)
    assert not passes(node, watcher, after)
    ruled.set(AccessTable({**BOTH, A: Place("store-12", "door")}, TABLE.readers))
    assert until(lambda: passes(node, watcher, after))
    assert not passes(node, watcher, before)
    assert not node.down.is_set()


def test_a_node_that_came_too_early_is_heard_when_it_comes_again(ruled: Ruled) -> None:
    ruled.set(WITHOUT_A)
    watcher, early = watching(ruled), ruled.world.peer(A)
    assert until(lambda: early.code != 0 or not passes(early, watcher, STATUS))
    early = ruled.world.peer(A)
    ruled.set(TABLE)
    assert early.down.wait(WAIT_S)  # refused at once, or sent away when it is known
    assert until(lambda: serves(ruled, A))


def serves(ruled: Ruled, principal: str) -> bool:
    again = ruled.world.peer(principal)
    served = again.code == 0 and again.asks_for(f"edge/v1/nodes/{principal}/desired")
    again.close()
    return served


def test_a_viewer_whose_credential_is_revoked_sees_nothing_any_more(ruled: Ruled) -> None:
    viewer = ruled.world.peer("viewer:v").subscribe("edge/v1/live/#")
    ruled.set(AccessTable(BOTH))
    assert viewer.down.wait(WAIT_S)
    again = ruled.world.peer("viewer:v")
    assert again.code != 0 or not again.asks_for("edge/v1/live/#")


@pytest.mark.needs("mosquitto")
def test_a_mosquitto_whose_rules_were_changed_by_hand_gets_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it holds at the beginning: too much, too little, other defaults. What is not ours stays."""
    rules = (
        '{"defaultACLAccess": {"publishClientSend": true, "subscribe": true}, "groups": [], "clients": ['
        '{"username": "coordinator", "roles": [{"rolename": "coordinator"}]}, {"username": "home-assistant"},'
        f'{{"username": "{"c" * 32}"}}, {{"username": "{A}", "roles": [{{"rolename": "coordinator"}}]}}], "roles": ['
        '{"rolename": "coordinator", "acls": [{"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": true},'
        '{"acltype": "publishClientReceive", "topic": "$CONTROL/#", "allow": true},'
        '{"acltype": "subscribePattern", "topic": "$CONTROL/#", "allow": true}]},'
        f'{{"rolename": "{B}", "acls": [{{"acltype": "publishClientSend", "topic": "#", "allow": true}}]}}]}}'
    )
    monkeypatch.setattr(mosquitto, "rules_json", lambda *_: rules)
    monkeypatch.setattr(access_control, "PAGE", 1)
    monkeypatch.setattr(access_control, "BATCH", 2)
    with running_world("mosquitto", tmp_path, TABLE) as world:
        ruled = Ruled(world)
        world.run(ruled.start())
        held = tmp_path / "broker" / "dynamic-security.json"
        assert until(lambda: is_as_wanted(held))
        assert "home-assistant" in held.read_text()
        assert serves(ruled, A)
        assert not forges(world)
        world.run(ruled.stop())


def is_as_wanted(file: Path) -> bool:
    """While it is written, it is empty for a moment."""
    with contextlib.suppress(ValueError):
        held = json.loads(file.read_text())
        read = read_state(held["roles"], held["clients"])
        return not steps(State(read.roles, read.clients, held["defaultACLAccess"]), wanted_state(TABLE, TOPICS))
    return False


def forges(world: World) -> bool:
    """Whether a node gets a message through to another."""
    victim, thief = world.peer(A).subscribe(DESIRED), world.peer(B)
    thief.publish(DESIRED, b"forged")
    return not (victim.asks_for(f"edge/v1/nodes/{A}/acked") and victim.received.empty())


@pytest.mark.needs("mosquitto")
def test_a_mosquitto_that_dies_comes_back_with_the_newest_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_observer(monkeypatch)
    with running_world("mosquitto", tmp_path, TABLE) as world:
        world.broker.set_access(WITHOUT_A)
        (tmp_path / "broker" / "dynamic-security.json").write_text("")  # it died while it wrote
        assert isinstance(world.broker, mosquitto.Mosquitto)
        first = world.broker._process
        assert first is not None
        first.kill()
        assert until(lambda: world.broker._process is not first)  # type: ignore[attr-defined]
        assert until(lambda: accepts(world.port))
        assert world.peer(B).asks_for(f"edge/v1/nodes/{B}/desired")
        assert not world.peer(A).asks_for(DESIRED)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def serves_other(world: World) -> bool:
    watcher, thief = world.peer(A).subscribe(DESIRED), world.peer(B)
    thief.publish(DESIRED, b"forged")
    return not (watcher.asks_for(f"edge/v1/nodes/{A}/acked") and watcher.received.empty())
