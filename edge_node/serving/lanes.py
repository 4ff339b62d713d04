"""Takes the connections of workers: the socket, who may connect, and how long a hello may take."""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_node.errors import NearfieldError
from edge_node.lane.greeting import PART_BYTES, Greeting, LaneRefused
from edge_node.lane.messages import Hello
from edge_node.lane.serving_end import LaneOver, ServingEnd
from edge_node.serving.lane import Lane
from edge_node.serving.regions import Regions
from edge_node.serving.settings import ServingSettings

_HELLO_S = 10.0
_BACKLOG = 64
_PEER = struct.Struct("iII")
"""struct ucred: pid, uid, gid"""
_LENGTH_BYTES = 4

_log = logging.getLogger(__name__)


def bind_lanes(settings: ServingSettings) -> socket.socket:
    """The socket that workers connect to, bound.

    Raises:
        OSError: it cannot be bound.
    """
    path = Path(settings.lanes)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    bound.bind(str(path))
    path.chmod(0o600)
    bound.listen(_BACKLOG)
    bound.setblocking(False)
    return bound


class Lanes:
    """The socket that workers connect to. `connected` is called with each lane that was granted."""

    def __init__(self, settings: ServingSettings, regions: Regions, connected: Callable[[Lane], None]) -> None:
        self._settings = settings
        self._regions = regions
        self._connected = connected
        self._socket: socket.socket | None = None
        self._greeting: dict[socket.socket, asyncio.TimerHandle] = {}

    def listen(self, bound: socket.socket) -> None:
        """Take connections at what `bind_lanes` gave, which becomes the lanes'."""
        self._socket = bound
        asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def close(self) -> None:
        """Take no more. Lanes that were granted stay."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            with suppress(OSError):  # a confined process may not: whoever listens there next removes it
                Path(self._settings.lanes).unlink(missing_ok=True)
        for connection in list(self._greeting):
            self._done_greeting(connection)
            connection.close()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):  # it hung up before it was accepted
            connection, _ = listening.accept()
            connection.setblocking(False)
            if _user_of(connection) != os.geteuid():
                connection.close()
                return
            loop = asyncio.get_running_loop()
            self._greeting[connection] = loop.call_later(_HELLO_S, self._refuse, connection, "it says nothing")
            loop.add_reader(connection, self._hear, connection, Greeting())

    def _hear(self, connection: socket.socket, greeting: Greeting) -> None:
        try:
            part = connection.recv(PART_BYTES + _LENGTH_BYTES)
            hello = greeting.take(part) if part else None
        except (OSError, LaneRefused) as error:
            self._refuse(connection, str(error))
            return
        if not part:
            self._refuse(connection, "it hung up")
        elif hello is not None:
            self._grant(connection, hello)

    def _grant(self, connection: socket.socket, hello: Hello) -> None:
        """A slot for every ask of every batch there may be: one in each instance, one ahead, one that has come back."""
        self._done_greeting(connection)
        slots = (hello.instances + 2) * max(1, hello.max_batch)
        try:
            end = ServingEnd(connection, hello, slots, self._settings.open_bytes)
        except (LaneOver, NearfieldError) as error:
            _log.warning("no lane for session %s: %s", hello.session, error)
            connection.close()
            return
        self._connected(Lane(end, self._regions))

    def _refuse(self, connection: socket.socket, reason: str) -> None:
        _log.warning("a connection to the lanes was closed: %s", reason)
        self._done_greeting(connection)
        connection.close()

    def _done_greeting(self, connection: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(connection)
        self._greeting.pop(connection).cancel()


def _user_of(connection: socket.socket) -> int:
    """The user of the process that connected: unix(7), SO_PEERCRED."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    user: int = _PEER.unpack(peer)[1]
    return user
