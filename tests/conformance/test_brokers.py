"""One suite for every broker that a coordinator may bring along: Mosquitto as a managed child, and the embedded one.

What they do with messages and connections, with the access rules off; the rules are test_broker_access.py. All over
TLS, every client with a certificate of its own.
"""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.errors import BadInput
from coordinator.link.access import AccessTable
from coordinator.link.own_broker import own_broker
from tests.conformance.broker_world import WAIT_S, Peer, World, rules_off, running_world


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "embedded"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A running broker whose rules are off."""
    rules_off(monkeypatch)
    with running_world(request.param, tmp_path, AccessTable()) as running:
        yield running


@pytest.fixture
def peer(world: World) -> Callable[..., Peer]:
    """Makes connected clients."""
    return world.peer


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


def test_a_will_is_published_and_retained_when_a_client_vanishes(world: World, peer: Callable[..., Peer]) -> None:
    watcher = peer().subscribe("w/#")
    mortal = world.unconnected("tester-mortal")
    mortal.client.will_set("w/1", b"gone", 1, retain=True)
    mortal.connect().drop()
    assert watcher.next().payload == b"gone"
    assert peer().subscribe("w/1").next().retain


def test_no_will_after_a_proper_goodbye(world: World, peer: Callable[..., Peer]) -> None:
    watcher = peer().subscribe("w/#")
    mortal = world.unconnected("tester-mortal")
    mortal.client.will_set("w/1", b"gone", 1)
    mortal.connect().close()
    peer().publish("w/2", b"after")
    assert watcher.next().topic == "w/2"


def test_the_newer_connection_of_a_client_id_takes_over(world: World, peer: Callable[..., Peer]) -> None:
    watcher = peer().subscribe("w")
    older = world.unconnected("tester-same", "same")
    older.client.will_set("w", b"older", 1)
    older.connect()
    newer = peer("tester-same", "same")
    assert older.down.wait(WAIT_S)
    assert watcher.next().payload == b"older"
    newer.subscribe("after")
    peer().publish("after", b"x")
    assert newer.next().payload == b"x"


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


def test_a_slow_subscriber_gets_5000_queued_messages(world: World, peer: Callable[..., Peer]) -> None:
    with slow_subscriber(world) as slow:
        publisher = peer()
        infos = [publisher.client.publish("s", b"%05d" % n + bytes(500), 1) for n in range(5000)]
        infos[-1].wait_for_publish(WAIT_S * 3)
        assert publisher.client.is_connected()
        assert [int(payload[:5]) for payload in read_publishes(slow, 5000)] == list(range(5000))


def test_a_slow_subscriber_does_not_hold_up_the_others(world: World, peer: Callable[..., Peer]) -> None:
    with slow_subscriber(world):
        quick, publisher = peer().subscribe("s"), peer()
        for _ in range(3000):
            publisher.client.publish("s", bytes(1000), 1)
        for _ in range(3000):
            quick.next()


def test_garbage_on_the_port_hurts_nobody(world: World, peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a"), peer()
    for garbage in (
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff",
        b"\x30\x05abc",
        b"\xff" * 5000,
    ):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", world.port)) as stranger:
            stranger.sendall(garbage)
        with contextlib.suppress(OSError), world.socket("tester-same") as client:
            client.sendall(garbage)
    publisher.publish("a", b"x")
    assert subscriber.next().payload == b"x"


def test_half_open_connections_do_not_keep_others_out(world: World, peer: Callable[..., Peer]) -> None:
    strangers = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(100)]
    for stranger in strangers[::2]:
        stranger.sendall(b"\x10")
    subscriber, publisher = peer().subscribe("a"), peer()
    publisher.publish("a", b"x")
    assert subscriber.next().payload == b"x"
    for stranger in strangers:
        stranger.close()


def test_a_publish_to_a_wildcard_ends_only_that_connection(world: World, peer: Callable[..., Peer]) -> None:
    subscriber = peer().subscribe("#")
    with world.socket() as stranger:
        stranger.sendall(connect_packet("rude") + b"\x30\x06\x00\x03a/#x")
        stranger.settimeout(WAIT_S)
        assert stranger.recv(4) == b"\x20\x02\x00\x00"
        assert ended(stranger)
    peer().publish("fine", b"x")
    assert subscriber.next().topic == "fine"


def test_a_client_of_quality_2_is_served(peer: Callable[..., Peer]) -> None:
    subscriber, publisher = peer().subscribe("a", 2), peer()
    publisher.publish("a", b"x", 2)
    assert subscriber.next().payload == b"x"


async def test_a_port_in_use_is_one_line(world: World, tmp_path: Path) -> None:
    other = own_broker(
        "mosquitto" if world.broker.kind == "managed" else "embedded",
        replace(world.settings, folder=tmp_path / "other", port=world.port),
    )
    with pytest.raises(BadInput, match=rf"127\.0\.0\.1:{world.port}: address already in use: set broker_port"):
        await other.start()
    await other.stop()


@contextlib.contextmanager
def slow_subscriber(world: World) -> Iterator[ssl.SSLSocket]:
    """A subscriber of `s` that reads nothing for now."""
    with world.socket() as slow:
        slow.settimeout(WAIT_S)
        slow.sendall(connect_packet("slow") + b"\x82\x06\x00\x01\x00\x01s\x01")
        assert read_exactly(slow, 4) == b"\x20\x02\x00\x00"
        assert read_exactly(slow, 5) == b"\x90\x03\x00\x01\x01"
        yield slow


def ended(connection: ssl.SSLSocket) -> bool:
    """Whether the other side closed it, with or without a farewell."""
    try:
        return connection.recv(1) == b""
    except (ssl.SSLEOFError, ConnectionResetError):
        return True


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
