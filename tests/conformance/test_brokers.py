"""One suite for every broker that a coordinator may bring along: Mosquitto as a managed child, and the embedded one.

The clients are raw paho and raw sockets, so that the suite judges the broker and nothing of ours.
"""

import asyncio
import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from coordinator.errors import BadInput
from coordinator.link.own_broker import OwnBroker, own_broker

WAIT_S = 10.0


class Peer:
    """A plain client with everything it received in a queue."""

    def __init__(self, port: int, client_id: str = "", *, clean: bool = True) -> None:
        self.port = port
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean, reconnect_on_failure=False)
        self.client.max_inflight_messages_set(1000)
        self.received: queue.Queue[MQTTMessage] = queue.Queue()
        self.up, self.down, self.subscribed = threading.Event(), threading.Event(), threading.Event()
        self.client.on_connect = lambda *_: self.up.set()
        self.client.on_disconnect = lambda *_: self.down.set()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.received.put(message)

    def connect(self) -> "Peer":
        self.client.connect("127.0.0.1", self.port, keepalive=30)
        self.client.loop_start()
        assert self.up.wait(WAIT_S)
        return self

    def subscribe(self, topic_filter: str, qos: int = 1) -> "Peer":
        self.subscribed.clear()
        self.client.subscribe(topic_filter, qos)
        assert self.subscribed.wait(WAIT_S)
        return self

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def next(self) -> MQTTMessage:
        return self.received.get(timeout=WAIT_S)

    def drop(self) -> None:
        """Vanish without a DISCONNECT."""
        transport = self.client.socket()
        assert isinstance(transport, socket.socket)
        transport.shutdown(socket.SHUT_RDWR)
        assert self.down.wait(WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "embedded"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnBroker]:
    """A running broker on a free port, on an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = own_broker(request.param, tmp_path, 0)
    asyncio.run_coroutine_threadsafe(made.start(), loop).result(WAIT_S)
    yield made
    asyncio.run_coroutine_threadsafe(made.stop(), loop).result(WAIT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def peer(broker: OwnBroker) -> Iterator[Callable[..., Peer]]:
    """Makes connected clients."""
    made: list[Peer] = []

    def make(client_id: str = "", *, clean: bool = True) -> Peer:
        made.append(Peer(port_of(broker), client_id, clean=clean))
        return made[-1].connect()

    yield make
    for one in made:
        one.close()


def port_of(broker: OwnBroker) -> int:
    return int(broker.url.rpartition(":")[2])


def test_a_message_reaches_a_subscriber_at_both_qualities(peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a/b", 1), peer()
    for qos in (0, 1):
        publisher.publish("a/b", b"x%d" % qos, qos)
        message = subscriber.next()
        assert (message.payload, message.qos, message.retain) == (b"x%d" % qos, qos, False)


def test_a_subscriber_of_quality_0_gets_no_more_than_that(peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a", 0), peer()
    publisher.publish("a", b"x", 1)
    assert subscriber.next().qos == 0


def test_a_retained_message_waits_for_a_later_subscriber(peer: Callable[..., Peer]) -> None:
    peer().publish("r/1", b"kept", retain=True)
    message = peer().subscribe("r/+").next()
    assert (message.topic, message.payload, message.qos, message.retain) == ("r/1", b"kept", 1, True)


def test_an_empty_retained_message_clears(peer: Callable[..., Peer]) -> None:
    publisher = peer()
    publisher.publish("r/1", b"kept", retain=True)
    publisher.publish("r/1", b"", retain=True)
    publisher.publish("r/2", b"other", retain=True)
    subscriber = peer().subscribe("r/#")
    assert subscriber.next().topic == "r/2"
    assert subscriber.received.empty()


def test_a_will_is_published_and_retained_when_a_client_vanishes(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    watcher = peer().subscribe("w/#")
    mortal = Peer(port_of(broker))
    mortal.client.will_set("w/1", b"gone", 1, retain=True)
    mortal.connect().drop()
    assert watcher.next().payload == b"gone"
    assert peer().subscribe("w/1").next().retain


def test_no_will_after_a_proper_goodbye(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    watcher = peer().subscribe("w/#")
    mortal = Peer(port_of(broker))
    mortal.client.will_set("w/1", b"gone", 1)
    mortal.connect().close()
    peer().publish("w/2", b"after")
    assert watcher.next().topic == "w/2"


def test_the_newer_connection_of_a_client_id_takes_over(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    watcher = peer().subscribe("w")
    older = Peer(port_of(broker), "same")
    older.client.will_set("w", b"older", 1)
    older.connect()
    newer = peer("same")
    assert older.down.wait(WAIT_S)
    assert watcher.next().payload == b"older"
    newer.subscribe("after")
    peer().publish("after", b"x")
    assert newer.next().payload == b"x"
    older.close()


def test_a_message_of_100_kib_passes_both_ways(peer: Callable[..., Peer]) -> None:
    payload = bytes(range(256)) * 400
    subscriber = peer().subscribe("big")
    peer().publish("big", payload)
    assert subscriber.next().payload == payload


@pytest.mark.parametrize(
    ("topic_filter", "matching", "other"),
    [
        ("a/+/c", "a/b/c", "a/b/d"),
        ("a/#", "a", "b"),
        ("a/#", "a/b/c", "ab"),
        ("+/+", "a/b", "a"),
        ("#", "a/b/c", None),
        ("+", "ä€😀", "/a"),
        ("/+", "/a", "a"),
    ],
)
def test_wildcards(peer: Callable[..., Peer], topic_filter: str, matching: str, other: str | None) -> None:
    subscriber, publisher = peer().subscribe(topic_filter), peer()
    if other is not None:
        publisher.publish(other, b"other")
    publisher.publish(matching, b"matching")
    assert subscriber.next().payload == b"matching"


def test_an_unsubscribed_filter_is_silent(peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a").subscribe("b"), peer()
    subscriber.client.unsubscribe("a")
    subscriber.subscribe("c")
    publisher.publish("a", b"")
    publisher.publish("b", b"x")
    assert subscriber.next().topic == "b"


def test_messages_stay_in_order(peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("n"), peer()
    for number in range(2000):
        publisher.client.publish("n", b"%d" % number, 1)
    assert [int(subscriber.next().payload) for _ in range(2000)] == list(range(2000))


def test_a_slow_subscriber_gets_5000_queued_messages(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    with slow_subscriber(port_of(broker)) as slow:
        publisher = peer()
        infos = [publisher.client.publish("s", b"%05d" % n + bytes(500), 1) for n in range(5000)]
        infos[-1].wait_for_publish(WAIT_S * 3)
        assert publisher.client.is_connected()
        assert [int(payload[:5]) for payload in read_publishes(slow, 5000)] == list(range(5000))


def test_a_slow_subscriber_does_not_hold_up_the_others(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    with slow_subscriber(port_of(broker)):
        quick, publisher = peer().subscribe("s"), peer()
        for _ in range(3000):
            publisher.client.publish("s", bytes(1000), 1)
        for _ in range(3000):
            quick.next()


def test_garbage_on_the_port_hurts_nobody(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a"), peer()
    for garbage in (
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff",
        b"\x30\x05abc",
        b"\xff" * 5000,
    ):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port_of(broker))) as stranger:
            stranger.sendall(garbage)
    publisher.publish("a", b"x")
    assert subscriber.next().payload == b"x"


def test_half_open_connections_do_not_keep_others_out(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    strangers = [socket.create_connection(("127.0.0.1", port_of(broker))) for _ in range(100)]
    for stranger in strangers[::2]:
        stranger.sendall(b"\x10")
    subscriber, publisher = peer().subscribe("a"), peer()
    publisher.publish("a", b"x")
    assert subscriber.next().payload == b"x"
    for stranger in strangers:
        stranger.close()


def test_a_publish_to_a_wildcard_ends_only_that_connection(broker: OwnBroker, peer: Callable[..., Peer]) -> None:
    subscriber = peer().subscribe("#")
    with socket.create_connection(("127.0.0.1", port_of(broker))) as stranger:
        stranger.sendall(connect_packet("rude") + b"\x30\x06\x00\x03a/#x")
        stranger.settimeout(WAIT_S)
        assert stranger.recv(4) == b"\x20\x02\x00\x00"
        assert stranger.recv(1) == b""
    peer().publish("fine", b"x")
    assert subscriber.next().topic == "fine"


def test_a_client_of_quality_2_is_served(peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a", 2), peer()
    publisher.publish("a", b"x", 2)
    assert subscriber.next().payload == b"x"


async def test_a_port_in_use_is_one_line(broker: OwnBroker, tmp_path: Path) -> None:
    other = own_broker("mosquitto" if broker.kind == "managed" else "embedded", tmp_path / "other", port_of(broker))
    with pytest.raises(BadInput, match=rf"127\.0\.0\.1:{port_of(broker)}: address already in use: set broker_port"):
        await other.start()
    await other.stop()


@contextlib.contextmanager
def slow_subscriber(port: int) -> Iterator[socket.socket]:
    """A subscriber of `s` that reads nothing for now."""
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.settimeout(WAIT_S)
        slow.sendall(connect_packet("slow") + b"\x82\x06\x00\x01\x00\x01s\x01")
        assert read_exactly(slow, 4) == b"\x20\x02\x00\x00"
        assert read_exactly(slow, 5) == b"\x90\x03\x00\x01\x01"
        yield slow


def read_publishes(slow: socket.socket, count: int) -> list[bytes]:
    """Read and acknowledge QoS 1 messages; their payloads."""
    payloads: list[bytes] = []
    while len(payloads) < count:
        header, length, shift = read_exactly(slow, 1)[0], 0, 0
        while True:
            byte = read_exactly(slow, 1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = read_exactly(slow, length)
        assert header & 0xF0 == 0x30
        topic_length = struct.unpack(">H", body[:2])[0]
        packet_id = body[2 + topic_length : 4 + topic_length]
        slow.sendall(b"\x40\x02" + packet_id)
        payloads.append(body[4 + topic_length :])
    return payloads


def read_exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = source.recv(count - len(data))
        assert more, "the broker closed the connection"
        data += more
    return data


def connect_packet(client_id: str) -> bytes:
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack(">H", len(client_id)) + client_id.encode()
    return b"\x10" + bytes([len(body)]) + body
