"""MQTT 3.1.1 control packets, as a server reads and writes them. Bytes in, values out; no socket.

Source: OASIS MQTT Version 3.1.1 (http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/); section numbers stand beside the rules.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_CLIENT_ID = 128


class Malformed(ValueError):
    """Not MQTT 3.1.1: the connection is to be closed."""


class Type(IntEnum):
    """Control packet types (2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


FLAGS: dict[int, int] = {Type.PUBREL: 2, Type.SUBSCRIBE: 2, Type.UNSUBSCRIBE: 2}
"""Reserved flags that must be set; all other types but PUBLISH have none (2.2.2)."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A PUBLISH; `packet_id` is 0 at QoS 0. A will is one too."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int = 0


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT. `level` is the protocol level: 4 for MQTT 3.1.1."""

    level: int
    client_id: str
    clean: bool
    keepalive_s: int
    will: Publish | None


class Splitter:
    """Cuts a stream of bytes into packets."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Type, flags and body of each packet that is now complete.

        Raises:
            Malformed: a length that is not one, or a packet larger than the limit.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        while (head := remaining_length(buffer, start + 1)) is not None:
            length, body = head
            if length > self._max_size:
                raise Malformed(f"a packet of {length} bytes")
            if len(buffer) < body + length:
                break
            yield buffer[start] >> 4, buffer[start] & 15, bytes(buffer[body : body + length])
            start = body + length
        del buffer[:start]


def remaining_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """The length written at an index (2.2.3) and the index behind it, or None where it is not complete yet.

    Raises:
        Malformed: more than four bytes.
    """
    value = 0
    for position in range(4):
        if at + position >= len(data):
            return None
        byte = data[at + position]
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, at + position + 1
    raise Malformed("a length of more than four bytes")


class Reader:
    """Reads the fields of a packet's body, one after another."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, count: int) -> bytes:
        """So many bytes. Raises Malformed where there are fewer."""
        end = self._at + count
        if end > len(self._body):
            raise Malformed("a packet ends too early")
        taken, self._at = self._body[self._at : end], end
        return taken

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def short(self) -> int:
        """Two bytes, most significant first."""
        return int.from_bytes(self.take(2), "big")

    def binary(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.short())

    def text(self) -> str:
        """A UTF-8 string (1.5.3): no U+0000. Raises Malformed where it is none."""
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise Malformed("a string is not UTF-8") from None
        if "\0" in text:
            raise Malformed("a string with U+0000")
        return text

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._body) - self._at)

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._body)


def read_connect(body: bytes) -> Connect:
    """The fields of a CONNECT (3.1). User name and password are skipped: nobody asks for them here.

    Raises:
        Malformed: not a CONNECT.
    """
    reader = Reader(body)
    name, level, flags, keepalive_s = reader.text(), reader.byte(), reader.byte(), reader.short()
    if name not in {"MQTT", "MQIsdp"} or flags & 1:
        raise Malformed("not MQTT")
    if level != 4:
        return Connect(level, "", clean=True, keepalive_s=keepalive_s, will=None)
    client_id = reader.text()
    if len(client_id) > MAX_CLIENT_ID:
        raise Malformed("a client id that is too long")
    will = None
    if flags & 0x04:
        topic, payload = checked_topic(reader.text()), reader.binary()
        will = Publish(topic, payload, checked_qos(flags >> 3 & 3), bool(flags & 0x20))
    return Connect(level, client_id, bool(flags & 0x02), keepalive_s, will)


def read_publish(flags: int, body: bytes) -> Publish:
    """The fields of a PUBLISH (3.3). Raises Malformed."""
    reader = Reader(body)
    topic, qos = checked_topic(reader.text()), checked_qos(flags >> 1 & 3)
    packet_id = checked_id(reader.short()) if qos else 0
    return Publish(topic, reader.rest(), qos, bool(flags & 1), packet_id)


def read_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Packet id and (filter, QoS) pairs of a SUBSCRIBE (3.8). Raises Malformed."""
    reader = Reader(body)
    packet_id, filters = checked_id(reader.short()), []
    while reader.more:
        filters.append((checked_filter(reader.text()), checked_qos(reader.byte())))
    if not filters:
        raise Malformed("a SUBSCRIBE to nothing")
    return packet_id, filters


def read_unsubscribe(body: bytes) -> tuple[int, list[str]]:
    """Packet id and filters of an UNSUBSCRIBE (3.10). Raises Malformed."""
    reader = Reader(body)
    packet_id, filters = checked_id(reader.short()), []
    while reader.more:
        filters.append(checked_filter(reader.text()))
    return packet_id, filters


def checked_topic(topic: str) -> str:
    """The topic itself (4.7.3). Raises Malformed where it is empty or has a wildcard."""
    if not topic or "+" in topic or "#" in topic:
        raise Malformed(f"{topic!r} is not a topic")
    return topic


def checked_filter(topic_filter: str) -> str:
    """The filter itself (4.7.1). Raises Malformed where a wildcard stands in a wrong place."""
    levels = topic_filter.split("/")
    wrong = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
    if not topic_filter or wrong or "#" in levels[:-1]:
        raise Malformed(f"{topic_filter!r} is not a topic filter")
    return topic_filter


def checked_qos(qos: int) -> int:
    """The quality of service itself. Raises Malformed where it is none."""
    if qos > 2:
        raise Malformed(f"quality of service {qos}")
    return qos


def checked_id(packet_id: int) -> int:
    """The packet id itself. Raises Malformed where it is 0 (2.3.1)."""
    if packet_id == 0:
        raise Malformed("packet id 0")
    return packet_id


def packet(kind: Type, body: bytes = b"", flags: int = 0) -> bytes:
    """A whole packet."""
    return bytes((kind << 4 | flags,)) + _length(len(body)) + body


def publish(message: Publish) -> bytes:
    """A PUBLISH."""
    topic = message.topic.encode()
    packet_id = struct.pack(">H", message.packet_id) if message.qos else b""
    body = b"%b%b%b%b" % (struct.pack(">H", len(topic)), topic, packet_id, message.payload)
    return packet(Type.PUBLISH, body, message.qos << 1 | message.retain)


def answer(kind: Type, packet_id: int) -> bytes:
    """A PUBACK, PUBREC, PUBCOMP or UNSUBACK."""
    return struct.pack(">BBH", kind << 4, 2, packet_id)


def connack(code: int) -> bytes:
    """A CONNACK without a stored session; 0: accepted, 1: unknown protocol, 2: client id refused (3.2.2.3)."""
    return packet(Type.CONNACK, bytes((0, code)))


def suback(packet_id: int, granted: list[int]) -> bytes:
    """A SUBACK with the granted qualities."""
    return packet(Type.SUBACK, struct.pack(">H", packet_id) + bytes(granted))


def _length(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
