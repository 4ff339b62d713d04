"""Who may do what at the broker (promise S5): role x topic x verb, on every broker that a coordinator brings along.

What is allowed stands here as plain lists of topics, so that the suite does not trust the rules that it judges. An
observer who may see everything says what really passed. The control arm: with the rules off, all of it passes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from coordinator.link.access import AccessTable, Place
from protos.identity import NodeId
from tests.conformance.broker_world import Peer, World, rules_off, running_world, with_observer

A, B = NodeId("a" * 32), NodeId("b" * 32)
PLACES = {A: Place("store-12", "cam-3"), B: Place("store-13", "cam-3")}
TABLE = AccessTable(PLACES, frozenset({"viewer:v", "operator:o", "admin:a"}))
READERS = sorted(TABLE.readers)
POWERLESS = ["publisher:factory", "viewer:gone", "0" * 32, "root"]
"""Certificates of the authority that may do nothing here: a role without business, and whoever is not in the table."""
EVERYBODY = [str(A), "coordinator", *READERS, *POWERLESS]

SENT_BY_NODES = ("status", "hello", "reported", "progress", "durable", "metrics", "alerts/drift", "replies/7")
SENT_TO_NODES = ("desired", "acked", "commands/7")


def control(node: str, kinds: tuple[str, ...]) -> list[str]:
    return [f"edge/v1/nodes/{node}/{kind}" for kind in kinds]


def live(site: str) -> list[str]:
    return [f"edge/v1/live/{site}/cam-3/{rest}" for rest in ("shelf", "shelf/count", "availability")]


OWN = [*control(A, SENT_BY_NODES), *live("store-12"), f"homeassistant/device/{A}/config"]
LIVE = [*live("store-12"), *live("store-13")]
HOME = [f"homeassistant/device/{A}/config", f"homeassistant/device/{B}/config"]
NODES = [*control(A, (*SENT_BY_NODES, *SENT_TO_NODES)), *control(B, (*SENT_BY_NODES, *SENT_TO_NODES))]
BELOW = ["edge/v1/other", "edge/v1/nodes/other"]
"""Nobody's but the coordinator's, who has all below the prefix."""
STRANGE = [
    "edge/v2/nodes/x",
    "edge/v10",
    "edge",
    "other",
    "/edge/v1/other",
    "Edge/v1/other",
    "\u0435dge/v1/other",  # a Cyrillic e
    f"edge\u200b/v1/nodes/{A}/status",
    "homeassistant/sensor/x/config/y",
]
NEAR = [
    f"edge/v1/nodes/{A}",
    f"edge/v1/nodes/{A}/status/more",
    f"edge/v1/nodes/{A}/alerts",
    f"edge/v1/nodes/{A}/alerts/a/b",
    f"edge/v1/nodes/{A.upper()}/status",
    f"edge/v1/nodes/{A[:-1]}\u0430/status",  # a Cyrillic a
    "edge/v1/nodes//status",
    "edge/v1/live/store-12/cam-30/shelf",
    "edge/v1/live/store-12/cam-3",
    "edge/v1/live/store-12/cam-3/a/b/c",
    "edge/v1/live/store-13/cam-3/" + "x" * 700,
]
"""All below the prefix and none of node A's, though some nearly."""
NEAR_LIVE = [topic for topic in NEAR if "/live/" in topic]
TOPICS = [*NODES, *LIVE, *HOME, *BELOW, *NEAR, *STRANGE]

MAY_PUBLISH = {
    str(A): {*OWN},
    "coordinator": {*NODES, *LIVE, *HOME, *BELOW, *NEAR},
    **{reader: set[str]() for reader in READERS},
    **{nobody: set[str]() for nobody in POWERLESS},
}
MAY_READ = {
    str(A): {*control(A, SENT_TO_NODES)},
    "coordinator": {*NODES, *LIVE, *BELOW, *NEAR},
    **{reader: {*LIVE, *HOME, *NEAR_LIVE, "homeassistant/sensor/x/config/y"} for reader in READERS},
    **{nobody: set[str]() for nobody in POWERLESS},
}
OVERLONG = {topic for topic in TOPICS if len(topic) > 512}
"""The embedded broker carries none of them for anybody; Mosquitto has no such limit."""

WILD = [
    "#", "+", "+/#", "+/+/#", "/#", "edge/#", "edge/+/#", "edge/v1/#", "edge/v1/+/#", "edge/v1/nodes/#",
    "edge/v1/nodes/+/status", "edge/v1/nodes/+/desired", "edge/v1/+/+/desired", f"+/v1/nodes/{A}/desired",
    f"edge/v1/nodes/{A}/#", f"edge/v1/nodes/{A}/+", f"edge/v1/nodes/{A}/+/+", f"edge/v1/nodes/{A}/desired/#",
    f"edge/v1/nodes/{B}/#", f"edge/v1/nodes/{A}/commands/#", f"edge/v1/nodes/{A}/commands/+",
    "edge/v1/live/#", "edge/v1/live/+/+/+", "edge/v1/live/+/cam-3/#", "edge/v1/live/store-12/#",
    "homeassistant/#", "homeassistant/+/+/config", "homeassistant/device/+/config",
    "$SYS/#", "$SYS/broker/version", "$CONTROL/#", "$CONTROL/dynamic-security/v1/response", "$share/g/#",
    "$share/g/edge/v1/live/#", f"$share/g/edge/v1/nodes/{A}/desired", "$share/g/edge/v1/nodes/+/desired",
    "$queue/#", "$SYS/+/#", "\u0435dge/v1/#", "edge/v1/live/store-12//#", "edge//live/#",
]  # fmt: skip


@pytest.fixture
def world(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A running broker with the rules on, and an observer."""
    with_observer(monkeypatch)
    with running_world(kind, tmp_path, TABLE) as running:
        yield running


@pytest.fixture
def open_world(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The control arm: the same broker with the rules off."""
    rules_off(monkeypatch, *EVERYBODY)
    with running_world(kind, tmp_path, TABLE) as running:
        yield running


def observer(world: World) -> Peer:
    return world.peer("tester-observer").subscribe("#").subscribe("/#")


def seen(watching: Peer) -> set[tuple[str, bytes]]:
    """What it saw until now: brokers handle one thing after another, so that all came before what it says itself."""
    watching.publish("sentinel", b"sentinel")
    return until_sentinel(watching)


def until_sentinel(watching: Peer) -> set[tuple[str, bytes]]:
    found = set()
    while (message := watching.next()).topic != "sentinel":
        found.add((message.topic, bytes(message.payload)))
    return found


def connected(world: World, principal: str) -> Peer | None:
    """A client, or None where the broker refuses the connection already."""
    made = world.unconnected(principal)
    made.connect()
    return made if made.code == 0 else None


def carried(world: World, topics: set[str]) -> set[str]:
    return topics - OVERLONG if world.broker.kind == "embedded" else topics


def published(world: World, principal: str) -> set[str]:
    """Which topics a principal gets a message through to, with both qualities, retained or not."""
    watching, actor = observer(world), connected(world, principal)
    if actor is None:
        return set()
    for topic in TOPICS:
        for qos in (0, 1):
            actor.publish(topic, b"live", qos)
        actor.publish(topic, b"kept", retain=True)
    passed = {topic for topic, payload in seen(watching) if payload in {b"live", b"kept"}}
    kept = {topic for topic, payload in seen(world.peer("tester-0").subscribe("#").subscribe("/#"))}
    assert {topic for topic in kept if topic in TOPICS} == passed
    return passed


@pytest.mark.parametrize("principal", EVERYBODY)
def test_a_principal_publishes_only_what_is_its_own(world: World, principal: str) -> None:
    assert published(world, principal) == carried(world, MAY_PUBLISH[principal])


@pytest.mark.parametrize("principal", [str(A), "viewer:v", "viewer:gone"])
def test_with_the_rules_off_everything_passes(open_world: World, principal: str) -> None:
    assert published(open_world, principal) == carried(open_world, {*TOPICS})


def received(world: World, principal: str, *, retained: bool) -> set[str]:
    """Which topics reach a principal who asks for everything in every way that there is."""
    source, actor = world.peer("tester-observer"), connected(world, principal)
    if actor is None:
        return set()
    if retained:
        for topic in TOPICS:
            source.publish(topic, b"x", retain=True)
    for topic_filter in (*WILD, *TOPICS):
        actor.asks_for(topic_filter)
    if not retained:
        for topic in TOPICS:
            source.publish(topic, b"x")
    source.publish(f"edge/v1/nodes/{principal}/acked", b"end")
    for reader in READERS:
        source.publish(f"edge/v1/live/end/end/{reader[0]}", b"end")
    return _until_the_end(actor, expected=bool(MAY_READ[principal]))


def _until_the_end(actor: Peer, *, expected: bool) -> set[str]:
    found = set()
    while expected:
        message = actor.next()
        if message.payload == b"end":
            break
        found.add(message.topic)
    return found | {message.topic for message in _rest(actor)}


def _rest(actor: Peer) -> list[MQTTMessage]:
    actor.asks_for("end/of/everything")  # its answer comes behind whatever else was sent
    found = []
    while not actor.received.empty():
        found.append(actor.received.get())
    return [message for message in found if message.payload == b"x" or message.topic.startswith("$SYS")]


@pytest.mark.parametrize("retained", [False, True], ids=["live", "retained"])
@pytest.mark.parametrize("principal", EVERYBODY)
def test_a_principal_receives_only_what_is_for_it(world: World, principal: str, retained: bool) -> None:
    assert received(world, principal, retained=retained) == carried(world, MAY_READ[principal])


GRANTED = {
    str(A): {f"edge/v1/nodes/{A}/commands/+"},
    "coordinator": {one for one in WILD if one.startswith("edge/v1/")} | {"$CONTROL/dynamic-security/v1/response"},
    **{reader: {one for one in WILD if one.startswith(("edge/v1/live/", "homeassistant/"))} for reader in READERS},
    **{nobody: set[str]() for nobody in POWERLESS},
}


@pytest.mark.parametrize("principal", EVERYBODY)
def test_a_filter_is_granted_only_if_all_that_it_matches_may_be_read(world: World, principal: str) -> None:
    actor = connected(world, principal)
    granted = set() if actor is None else {one for one in WILD if actor.asks_for(one)}
    plugin = {"$CONTROL/dynamic-security/v1/response"} if world.broker.kind == "embedded" else set()
    assert granted == GRANTED[principal] - plugin


@pytest.mark.parametrize("principal", ["viewer:v", "viewer:gone"])
def test_with_the_rules_off_every_filter_is_granted(open_world: World, principal: str) -> None:
    actor = connected(open_world, principal)
    assert actor is not None
    assert {one for one in WILD if "$" not in one and not actor.asks_for(one)} == set()


WILLS = [
    OWN[0],
    OWN[-2],
    f"edge/v1/nodes/{B}/status",
    f"edge/v1/nodes/{A}/desired",
    *live("store-13"),
    *BELOW,
    *STRANGE,
]


def willed(world: World, principal: str) -> set[str]:
    """Of which topics a principal's will passes."""
    watching = observer(world)
    for topic in WILLS:
        mortal = world.unconnected(principal)
        mortal.client.will_set(topic, b"will", 1, retain=True)
        if mortal.connect().code == 0:
            mortal.drop()
    last = world.unconnected("tester-mortal")
    last.client.will_set("sentinel", b"last", 1)
    last.connect().drop()  # brokers notice lost connections in the order in which they were lost
    return {topic for topic, payload in until_sentinel(watching) if payload == b"will"}


@pytest.mark.parametrize("principal", [str(A), "coordinator", "viewer:v", "publisher:factory", "viewer:gone"])
def test_a_will_is_a_message_like_any_other(world: World, principal: str) -> None:
    assert willed(world, principal) == MAY_PUBLISH[principal] & {*WILLS}


def test_with_the_rules_off_every_will_passes(open_world: World) -> None:
    assert willed(open_world, "viewer:v") == {*WILLS}


def test_a_publisher_is_told_nothing_and_stays_connected(world: World) -> None:
    node = world.peer(A)
    node.publish(f"edge/v1/nodes/{B}/status", b"forged")
    node.publish("$SYS/broker/version", b"forged")
    node.publish(f"edge/v1/nodes/{A}/acked", b"forged")
    watching = observer(world)
    node.publish(f"edge/v1/nodes/{A}/hello", b"honest")
    assert seen(watching) == {(f"edge/v1/nodes/{A}/hello", b"honest")}


def test_nobody_but_the_coordinator_changes_the_rules(world: World) -> None:
    """Mosquitto's plugin takes commands as messages."""
    command = {"command": "addRoleACL", "rolename": str(A), "acltype": "publishClientSend", "topic": "#", "allow": True}
    watching = observer(world)
    for principal in (str(A), "admin:a"):
        actor = world.peer(principal)
        actor.publish("$CONTROL/dynamic-security/v1", json.dumps({"commands": [command]}).encode())
    world.peer(A).publish(f"edge/v1/nodes/{B}/status", b"forged")
    assert seen(watching) == set()
