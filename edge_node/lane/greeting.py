"""How a lane begins: the worker's `Hello`, which is not believed, and the serving process's `Grant` with memory.

A packet of a Unix socket holds some hundred kilobytes and a `Hello` with labels may be longer: it goes in parts, the
first of which begins with the length (`=I`) of the whole.
"""

import socket
import struct
from collections.abc import Iterator, Sequence

import msgspec

from edge_node.lane.messages import Grant, Hello, Port
from protos.inference.datatypes import NUMPY

HELLO_BYTES = 8 * 2**20
"""more than the longest file of labels"""
PART_BYTES = 64 * 2**10
MOST_PORTS = 512
MOST_AXES = 32
MOST_INSTANCES = 256
MOST_BATCH = 65_536
LONGEST_AXIS = 2**40

_LENGTH = struct.Struct("=I")
_encoder = msgspec.msgpack.Encoder()
_hellos: msgspec.msgpack.Decoder[Hello] = msgspec.msgpack.Decoder(Hello)
_grants: msgspec.msgpack.Decoder[Grant] = msgspec.msgpack.Decoder(Grant)


class LaneRefused(ValueError):
    """A `Hello` that cannot be, or is larger than it may be."""


class Greeting:
    """The serving side: takes the parts of a `Hello` as they come."""

    def __init__(self) -> None:
        self._wanted: int | None = None
        self._parts = bytearray()

    def take(self, part: bytes) -> Hello | None:
        """The checked `Hello` when this was its last part.

        Raises:
            LaneRefused: it is too long, not one, or says what cannot be.
        """
        if self._wanted is None:
            if len(part) < _LENGTH.size:
                raise LaneRefused("a lane that begins without a length")
            (self._wanted,) = _LENGTH.unpack_from(part)
            part = part[_LENGTH.size :]
        if self._wanted > HELLO_BYTES or len(self._parts) + len(part) > self._wanted:
            raise LaneRefused(f"a lane's Hello of more than {min(self._wanted, HELLO_BYTES)} bytes")
        self._parts += part
        return _checked(self._parts) if len(self._parts) == self._wanted else None


def parts_of(hello: Hello) -> Iterator[bytes]:
    """The packets that a `Hello` is sent in."""
    body = _encoder.encode(hello)
    whole = _LENGTH.pack(len(body)) + body
    for start in range(0, len(whole), PART_BYTES):
        yield whole[start : start + PART_BYTES]


def send_grant(connection: socket.socket, grant: Grant, fd: int) -> None:
    """Send a grant with the memory's descriptor.

    Raises:
        OSError: the worker is gone.
    """
    socket.send_fds(connection, [_encoder.encode(grant)], [fd])


def receive_grant(connection: socket.socket) -> tuple[Grant, int]:
    """The grant and the memory's descriptor, which is the caller's.

    Raises:
        OSError: the lane was not granted.
    """
    packet, fds, _, _ = socket.recv_fds(connection, PART_BYTES, 1)
    if not fds:
        raise ConnectionResetError("the serving process did not grant the lane")
    return _grants.decode(packet), fds[0]


def _checked(body: bytes | bytearray) -> Hello:
    try:
        hello = _hellos.decode(body)
    except msgspec.DecodeError as error:
        raise LaneRefused(f"a lane's Hello that cannot be read: {error}") from None
    _check_ports(hello.inputs)
    _check_ports(hello.outputs)
    if not (1 <= hello.instances <= MOST_INSTANCES and 0 <= hello.max_batch <= MOST_BATCH):
        raise LaneRefused(f"a lane of {hello.instances} instances and batches of {hello.max_batch}")
    return hello


def _check_ports(ports: Sequence[Port]) -> None:
    if len(ports) > MOST_PORTS or len({port.name for port in ports}) != len(ports):
        raise LaneRefused("a lane's ports are too many, or two have the same name")
    for port in ports:
        axes_fit = len(port.shape) <= MOST_AXES and all(-1 <= axis <= LONGEST_AXIS for axis in port.shape)
        if port.datatype not in NUMPY or not axes_fit:
            raise LaneRefused(f"the port {port.name!r} of {port.datatype} {list(port.shape)}")
