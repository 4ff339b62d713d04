"""The worker's end of a lane: blocking, for several threads, each of which takes a batch and gives it back.

    lane = open_lane(connection, hello)
    while batch := lane.take():                  # numbers of slots; (): the lane is over
        for number in batch:
            ask = read_ask(lane.slot(number))
            write(lane.slot(number), lane.head_bytes, answer)
        lane.give(batch)

The asks are the serving process's and believed; arrays are not this module's business.
"""

import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from edge_node.errors import Unreachable
from edge_node.lane.greeting import parts_of, receive_grant
from edge_node.lane.memory import Memory
from edge_node.lane.messages import Hello
from edge_node.lane.slot import head_bytes

GRANT_S = 10.0
"""how long the serving process may take to grant"""
_NUMBER_BYTES = 4


def open_lane(connection: socket.socket, hello: Hello) -> "WorkerEnd":
    """Say hello and wait for the grant; the connection becomes the lane's.

    Raises:
        Unreachable: the serving process does not grant it.
    """
    try:
        connection.settimeout(GRANT_S)
        for part in parts_of(hello):
            connection.send(part)
        grant, fd = receive_grant(connection)
        try:
            memory = Memory(fd, grant.slots, grant.slot_bytes)
        finally:
            os.close(fd)
        connection.settimeout(None)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        connection.close()
        raise Unreachable(f"the serving process grants no lane to session {hello.session}: {error}") from None
    return WorkerEnd(connection, memory, head_bytes(hello))


class WorkerEnd:
    """A granted lane. `head_bytes` is where tensors begin in a slot."""

    def __init__(self, connection: socket.socket, memory: Memory, head_bytes: int) -> None:
        self.head_bytes = head_bytes
        self._connection = connection
        self._slots = memory.slots
        self._packet_bytes = len(memory.slots) * _NUMBER_BYTES

    def take(self) -> tuple[int, ...]:
        """Wait for a batch; nothing where the lane is over."""
        try:
            packet = self._connection.recv(self._packet_bytes)
        except OSError:
            return ()
        return struct.unpack(f"={len(packet) // _NUMBER_BYTES}I", packet)

    def slot(self, number: int) -> memoryview:
        """A slot's memory, from `take` to `give`."""
        return self._slots[number]

    def give(self, batch: Sequence[int]) -> None:
        """Send answered slots back. Where the lane is over, nobody hears of it, and the next `take` says so."""
        with suppress(OSError):
            self._connection.send(struct.pack(f"={len(batch)}I", *batch))

    def hang_up(self) -> None:
        """End the lane for all threads: every `take` returns nothing. Idempotent."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptor back, when no thread is in `take` any more."""
        self._connection.close()
