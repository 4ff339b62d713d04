"""Runs the embedded broker: on the loopback interface, on an event loop in a thread of its own.

So a busy broker slows the coordinator's own loop no more than any thread does, and a slow handler there does not keep
the broker from answering pings.
"""

import asyncio
import itertools
import threading
from typing import Literal

from coordinator.link.embedded.connection import Connection
from coordinator.link.embedded.hub import Hub
from coordinator.link.listening import HOST, cannot_listen
from protos.topics import MAX_PAYLOAD

MAX_PACKET = 2 * MAX_PAYLOAD


class EmbeddedBroker:
    """A broker that lives and dies with this process; nothing of it is kept."""

    kind: Literal["embedded"] = "embedded"

    def __init__(self, port: int) -> None:
        self._port = port
        self._hub = Hub()
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    @property
    def url(self) -> str:
        """Where it listens; with port 0 known after `start`."""
        return f"mqtt://{HOST}:{self._port}"

    async def start(self) -> None:
        """Run it; returns when it accepts connections.

        Raises:
            BadInput: the port is in use.
        """
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="embedded broker", daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._listen(), loop))
        except (OSError, OverflowError) as error:
            await self.stop()
            raise cannot_listen(self._port, error) from None

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

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, HOST, self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    def _connection(self) -> Connection:
        return Connection(self._hub, MAX_PACKET, lambda: f"anonymous-{next(self._numbers)}", self._connections)

    async def _close(self) -> None:
        # a connection that is being accepted while the server closes would stay half made (asyncio asserts)
        while being_accepted := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(being_accepted)
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # every connection hears that it is lost
