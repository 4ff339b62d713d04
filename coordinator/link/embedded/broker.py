"""Runs the embedded broker: TLS with client certificates, on an event loop in a thread of its own.

So a busy broker slows the coordinator's own loop no more than any thread does, and a slow handler there does not keep
the broker from answering pings.
"""

import asyncio
import contextlib
import itertools
import socket
import ssl
import threading
from typing import Literal

from coordinator.link.access import AccessTable
from coordinator.link.embedded.connection import Connection
from coordinator.link.embedded.handshakes import Handshakes
from coordinator.link.embedded.hub import Hub
from coordinator.link.listening import authority_of, listening_socket
from coordinator.link.tls import TlsFiles, server_context
from protos.topics import MAX_PAYLOAD, Topics

MAX_PACKET = 2 * MAX_PAYLOAD
CLOSE_S = 5.0


class EmbeddedBroker:
    """A broker that lives and dies with this process; nothing of it is kept."""

    kind: Literal["embedded"] = "embedded"

    def __init__(self, host: str, port: int, tls: TlsFiles, table: AccessTable, topics: Topics) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._hub = Hub(table, topics)
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._context: ssl.SSLContext | None = None
        self._handshakes: Handshakes | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens; with port 0 known after `start`."""
        return f"mqtts://{authority_of(self._host, self._port)}"

    async def start(self) -> None:
        """Run it; returns when it accepts connections.

        Raises:
            BadInput: the port is in use, or the certificate cannot be used.
        """
        context = self._context = server_context(self._tls)
        listener = listening_socket(self._host, self._port)
        self._port = listener.getsockname()[1]
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="embedded broker", daemon=True)
        self._thread.start()
        self._handshakes = Handshakes(context, self._connection)
        serving = self._serve(self._handshakes, listener)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(serving, loop))

    async def stop(self) -> None:
        """End it, and every connection."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._close(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()

    def set_access(self, table: AccessTable) -> None:
        """Other rules, at once: connections of whoever is not in the table any more end. Thread-safe."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hub.set_access, table)

    def renew(self) -> None:
        """The certificate's files are new: the next handshakes use them.

        Raises:
            BadInput: they cannot be used; the old ones stay.
        """
        server_context(self._tls)
        if self._context is not None:
            self._context.load_verify_locations(self._tls.ca)
            self._context.load_cert_chain(self._tls.certificate, self._tls.key)

    async def _serve(self, handshakes: Handshakes, listener: socket.socket) -> None:
        self._serving = asyncio.get_running_loop().create_task(handshakes.serve(listener))
        self._serving.add_done_callback(lambda _: listener.close())

    def _connection(self) -> Connection:
        return Connection(self._hub, MAX_PACKET, next(self._numbers))

    async def _close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        if self._handshakes is not None:
            await self._handshakes.stop()
        for connection in list(self._hub.connections):
            connection.abort()
        async with asyncio.timeout(CLOSE_S):
            while self._hub.connections:  # noqa: ASYNC110 (each hears that it is lost, some steps later)
                await asyncio.sleep(0)
