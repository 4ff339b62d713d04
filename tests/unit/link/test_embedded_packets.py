"""MQTT packets: what a client may send is read, and nothing else gets past."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.link.embedded import packets
from coordinator.link.embedded.packets import Connect, Malformed, Publish, Splitter, Type

LIMIT = 200_000
topics = st.text(min_size=1, max_size=20).filter(lambda text: not set(text) & set("+#\0") and _encodes(text))
publishes = st.builds(
    lambda topic, payload, qos, retain, packet_id: Publish(topic, payload, qos, retain, packet_id if qos else 0),
    topics,
    st.binary(max_size=300),
    st.integers(0, 2),
    st.booleans(),
    st.integers(1, 0xFFFF),
)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: str) -> bytes:
    return struct.pack(">H", len(value.encode())) + value.encode()


@given(st.lists(publishes, max_size=5), st.integers(1, 50))
def test_a_stream_cut_anywhere_gives_the_same_packets(messages: list[Publish], step: int) -> None:
    stream, splitter, seen = b"".join(map(packets.publish, messages)), Splitter(LIMIT), []
    for start in range(0, len(stream), step):
        seen += [packets.read_publish(flags, body) for _, flags, body in splitter.feed(stream[start : start + step])]
    assert seen == messages


@given(st.binary(max_size=300))
def test_no_bytes_break_the_readers(garbage: bytes) -> None:
    readers = (
        packets.read_connect,
        lambda body: packets.read_publish(2, body),
        packets.read_subscribe,
        packets.read_unsubscribe,
        lambda body: list(Splitter(100).feed(body)),
    )
    for read in readers:
        with contextlib.suppress(Malformed):
            read(garbage)


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 199_900])
def test_lengths_are_written_as_they_are_read(size: int) -> None:
    ((kind, flags, body),) = Splitter(LIMIT).feed(packets.packet(Type.PUBLISH, bytes(size)))
    assert (kind, flags, len(body)) == (Type.PUBLISH, 0, size)


def test_a_length_of_five_bytes_is_refused() -> None:
    with pytest.raises(Malformed, match="more than four bytes"):
        list(Splitter(LIMIT).feed(b"\x30\xff\xff\xff\xff\x01"))


def test_a_packet_larger_than_the_limit_is_refused_before_it_came() -> None:
    with pytest.raises(Malformed, match="a packet of 2097151 bytes"):
        list(Splitter(LIMIT).feed(b"\x30\xff\xff\x7f"))


def test_connect_with_a_will_and_credentials() -> None:
    body = text("MQTT") + bytes((4, 0xEE)) + struct.pack(">H", 30) + text("cam")
    body += text("w") + text("gone") + text("user") + text("password")
    assert packets.read_connect(body) == Connect(4, "cam", True, 30, Publish("w", b"gone", 1, True))


@pytest.mark.parametrize(
    "body",
    [
        text("MQTT") + b"\x04\x03\x00\x00" + text("x"),
        text("HTTP") + b"\x04\x02\x00\x00" + text("x"),
        text("MQTT") + b"\x04\x02\x00",
        text("MQTT") + b"\x04\x02\x00\x00" + text("x" * 129),
        text("MQTT") + b"\x04\x02\x00\x00\x00\x02\xff\xff",
        text("MQTT") + b"\x04\x06\x00\x00" + text("x") + text("a/#") + text(""),
    ],
)
def test_what_is_no_connect_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        packets.read_connect(body)


def test_another_protocol_level_is_told_apart_from_garbage() -> None:
    assert packets.read_connect(text("MQTT") + b"\x05\x02\x00\x00\x00\x00\x00").level == 5


@pytest.mark.parametrize("topic", ["", "a/#", "+", "a\0b"])
def test_a_message_goes_to_a_topic_and_not_to_a_filter(topic: str) -> None:
    with pytest.raises(Malformed):
        packets.read_publish(0, text(topic))


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a+/b", "a/++"])
def test_a_wildcard_stands_alone_in_its_level(topic_filter: str) -> None:
    with pytest.raises(Malformed, match="is not a topic filter"):
        packets.read_subscribe(b"\x00\x01" + text(topic_filter) + b"\x01")


@pytest.mark.parametrize("body", [b"\x00\x01", b"\x00\x00" + text("a") + b"\x01", b"\x00\x01" + text("a") + b"\x03"])
def test_a_subscribe_needs_an_id_a_filter_and_a_quality(body: bytes) -> None:
    with pytest.raises(Malformed):
        packets.read_subscribe(body)
