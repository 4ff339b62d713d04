"""The node's uplink and the coordinator's client against a real broker that dies, refuses, and lies about presence."""

import asyncio
import os
import queue
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from coordinator.link.broker import BrokerClient
from coordinator.link.reconnect import Backoff as ClientBackoff
from edge_node.link.mqtt import Uplink
from edge_node.link.session import Backoff
from protos.broker_url import Broker, parse_broker_url
from protos.identity import NodeId
from protos.packing import unpacked
from protos.reported import Status
from protos.topics import Kind, NodeTopic, Topics
from tests.integration.brokers import WAIT_S, RealMosquitto, mosquitto, password_file
from tests.open_gate import OpenGate
from tests.waiting import until

pytestmark = pytest.mark.needs("mosquitto")

T = TypeVar("T")

NODE = NodeId("0123456789abcdef" * 2)
OTHER = NodeId("fedcba9876543210" * 2)
TOPICS = Topics()
QUICK = Backoff(shortest_s=0.05, longest_s=0.2, refused_s=0.1)
QUICK_CLIENT = ClientBackoff(shortest_s=0.05, longest_s=0.2, refused_s=0.1)


class Node:
    """An uplink and what it heard."""

    def __init__(self, broker: Broker) -> None:
        self.connections: asyncio.Queue[str] = asyncio.Queue()
        self.messages: asyncio.Queue[tuple[NodeTopic, bytes]] = asyncio.Queue()
        self.uplink = Uplink(
            broker,
            NODE,
            TOPICS,
            on_connected=self.connections.put_nowait,
            on_message=lambda topic, payload: self.messages.put_nowait((topic, payload)),
            backoff=QUICK,
            gate=OpenGate(),
        )


class Coordinator:
    """A broker client and what it heard."""

    def __init__(self, broker: Broker) -> None:
        self.connections = 0
        self.received: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self.client = BrokerClient(broker, on_connected=self.count, backoff=QUICK_CLIENT)
        for kind in (Kind.STATUS, Kind.HELLO, Kind.DURABLE):
            self.client.subscribe(TOPICS.from_all_nodes(kind), 1, lambda *message: self.received.put(message))

    def count(self) -> None:
        self.connections += 1

    async def next(self) -> tuple[str, bytes, bool]:
        topic, payload, retained = await asyncio.to_thread(self.received.get, timeout=WAIT_S)
        return topic, unpacked(payload), retained

    async def next_status(self) -> Status:
        topic, payload, _ = await self.next()
        assert topic == TOPICS.of_node(NODE, Kind.STATUS)
        return msgspec.json.decode(payload, type=Status)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RealMosquitto]:
    with mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def node(broker: RealMosquitto) -> AsyncIterator[Node]:
    made = Node(url_of(broker))
    yield made
    await made.uplink.stop()


@pytest.fixture
async def coordinator(broker: RealMosquitto) -> AsyncIterator[Coordinator]:
    made = Coordinator(url_of(broker))
    await made.client.start()
    await until(lambda: made.client.connected)
    yield made
    await made.client.stop()


def url_of(broker: RealMosquitto) -> Broker:
    return parse_broker_url(f"mqtt://127.0.0.1:{broker.port}")


async def soon(waiting: asyncio.Queue[T]) -> T:
    return await asyncio.wait_for(waiting.get(), WAIT_S)


async def test_a_node_is_online_hears_what_is_meant_for_it_and_says_goodbye(
    node: Node, coordinator: Coordinator
) -> None:
    client = coordinator.client
    assert client.publish(TOPICS.of_node(NODE, Kind.DESIRED), b"desired", qos=1, retain=True)
    assert client.publish(TOPICS.of_node(OTHER, Kind.DESIRED), b"not mine", qos=1, retain=True)
    await node.uplink.start()
    connection = await soon(node.connections)
    assert await coordinator.next_status() == Status("online", connection)
    assert await soon(node.messages) == (NodeTopic(Kind.DESIRED, NODE), b"desired")
    assert client.publish(TOPICS.of_node(NODE, Kind.COMMANDS, "7"), b"command", qos=1, retain=False)
    assert await soon(node.messages) == (NodeTopic(Kind.COMMANDS, NODE, "7"), b"command")
    await node.uplink.stop()
    assert await coordinator.next_status() == Status("offline", connection)
    assert not node.uplink.connected


async def test_both_come_back_to_a_broker_that_was_killed(
    broker: RealMosquitto, node: Node, coordinator: Coordinator
) -> None:
    await node.uplink.start()
    first = await soon(node.connections)
    assert await coordinator.next_status() == Status("online", first)
    broker.kill()
    await until(lambda: not node.uplink.connected and not coordinator.client.connected)
    assert "lost the connection" in node.uplink.state or "cannot reach" in node.uplink.state
    assert not node.uplink.publish(TOPICS.of_node(NODE, Kind.DURABLE), b"x", qos=1, retain=False)
    assert not coordinator.client.publish(TOPICS.of_node(NODE, Kind.ACKED), b"x", qos=1, retain=True)
    await asyncio.to_thread(broker.start)
    second = await soon(node.connections)
    assert second != first
    await until(lambda: coordinator.connections == 2)
    assert await coordinator.next_status() == Status("online", second)
    assert node.uplink.publish(TOPICS.of_node(NODE, Kind.DURABLE), b"after", qos=1, retain=False)
    assert (await coordinator.next())[1] == b"after"


async def test_what_was_queued_dies_with_its_connection(
    broker: RealMosquitto, node: Node, coordinator: Coordinator
) -> None:
    await node.uplink.start()
    await soon(node.connections)
    await coordinator.next_status()
    assert broker.process is not None
    broker.process.send_signal(19)  # SIGSTOP: it acknowledges nothing any more
    durable = TOPICS.of_node(NODE, Kind.DURABLE)
    for _ in range(10):
        node.uplink.publish(durable, b"stale", qos=1, retain=False)
    broker.kill()
    await asyncio.to_thread(broker.start)
    await soon(node.connections)
    await until(lambda: coordinator.connections == 2)
    await coordinator.next_status()
    assert node.uplink.publish(durable, b"fresh", qos=1, retain=False)
    assert (await coordinator.next())[1] == b"fresh"


async def test_a_broker_that_takes_nothing_bounds_the_queue_and_never_blocks(broker: RealMosquitto, node: Node) -> None:
    await node.uplink.start()
    await soon(node.connections)
    assert broker.process is not None
    broker.process.send_signal(19)  # SIGSTOP
    for qos in (0, 1):
        payload, taken = os.urandom(100_000), 0  # packs to no less
        while node.uplink.publish(TOPICS.of_node(NODE, Kind.DURABLE), payload, qos=qos, retain=False):
            taken += 1
            assert taken < 1000
    broker.process.send_signal(18)  # SIGCONT


async def test_the_will_of_an_old_connection_names_that_connection(
    broker: RealMosquitto, node: Node, coordinator: Coordinator
) -> None:
    """Two connections of one node id: the offline of the old one must be tellable from that of the new one."""
    status = TOPICS.of_node(NODE, Kind.STATUS)
    old = Client(CallbackAPIVersion.VERSION2, "the-same-node-before", reconnect_on_failure=False)
    old.will_set(status, msgspec.json.encode(Status("offline", "old")), 1, retain=True)
    await asyncio.to_thread(old.connect, "127.0.0.1", broker.port)
    old.loop_start()
    await until(old.is_connected)
    await node.uplink.start()
    connection = await soon(node.connections)
    assert await coordinator.next_status() == Status("online", connection)
    old.socket().shutdown(2)  # type: ignore[union-attr]
    assert await coordinator.next_status() == Status("offline", "old")
    assert connection != "old"
    assert node.uplink.connected
    await asyncio.to_thread(old.loop_stop)


async def test_a_node_that_vanishes_is_declared_offline_by_the_broker(node: Node, coordinator: Coordinator) -> None:
    await node.uplink.start()
    connection = await soon(node.connections)
    await coordinator.next_status()
    running = node.uplink._keeper._connection
    assert running is not None
    assert running._client is not None
    running._client.socket().shutdown(2)  # type: ignore[union-attr]
    assert await coordinator.next_status() == Status("offline", connection)
    again = await coordinator.next_status()
    assert again.state == "online"
    assert again.connection != connection


async def test_the_same_id_elsewhere_takes_the_connection_and_both_say_so(broker: RealMosquitto, node: Node) -> None:
    await node.uplink.start()
    await soon(node.connections)
    clone = Client(CallbackAPIVersion.VERSION2, str(NODE), reconnect_on_failure=False)
    await asyncio.to_thread(clone.connect, "127.0.0.1", broker.port)
    clone.loop_start()
    await soon(node.connections)
    await asyncio.to_thread(clone.loop_stop)


@pytest.mark.needs("mosquitto_passwd")
async def test_a_refused_login_is_one_line_and_tried_again_until_it_works(tmp_path: Path) -> None:
    file = password_file(tmp_path, node="right")
    with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {file}") as broker:
        url = f"mqtt://node:{{}}@127.0.0.1:{broker.port}"
        node, coordinator = Node(parse_broker_url(url.format("wrong"))), Coordinator(parse_broker_url(url.format("no")))
        await node.uplink.start()
        await coordinator.client.start()
        await until(lambda: "refuses" in node.uplink.state and "refuses" in coordinator.client.state)
        for state in (node.uplink.state, coordinator.client.state):
            assert state.startswith(f"the broker at mqtt://node@127.0.0.1:{broker.port} refuses the connection: ")
            assert "wrong" not in state
            assert "\n" not in state
        assert not node.uplink.connected
        assert not coordinator.client.connected
        broker.kill()
        broker.extra = "allow_anonymous true"
        await asyncio.to_thread(broker.start)
        await soon(node.connections)
        await until(lambda: coordinator.client.connected)
        await node.uplink.stop()
        await coordinator.client.stop()


async def test_nobody_there_is_a_state_and_stopping_is_quick(tmp_path: Path) -> None:
    node = Node(parse_broker_url("mqtt://127.0.0.1:1"))
    await node.uplink.start()
    await until(lambda: node.uplink.state.startswith("cannot reach the broker at mqtt://127.0.0.1:1: "))
    await node.uplink.stop()


async def test_a_handler_that_fails_does_not_silence_the_others(broker: RealMosquitto, node: Node) -> None:
    received: queue.Queue[bytes] = queue.Queue()

    def fail(topic: str, payload: bytes, retained: bool) -> None:
        raise ValueError(payload)

    client = BrokerClient(url_of(broker))
    client.subscribe(TOPICS.from_all_nodes(Kind.STATUS), 1, fail)
    client.subscribe(TOPICS.from_all_nodes(Kind.HELLO), 1, lambda _topic, payload, _retained: received.put(payload))
    await client.start()
    await until(lambda: client.connected)
    await node.uplink.start()
    await soon(node.connections)
    node.uplink.publish(TOPICS.of_node(NODE, Kind.HELLO), b"hello", qos=1, retain=False)
    assert await asyncio.to_thread(received.get, timeout=WAIT_S) == b"hello"
    await client.stop()
