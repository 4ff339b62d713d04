"""Accepts connections and shakes hands: so many handshakes at a time, each within a few seconds.

A peer that opens connections and says nothing costs a handshake each. Where too many are under way the oldest ends:
an honest one takes some milliseconds, so that the oldest are those that hold others up.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable

HANDSHAKE_S = 5.0
MAX_HANDSHAKES = 200
SHUTDOWN_S = 2.0
"""How long a closing connection waits for the other side's farewell."""
PAUSE_S = 0.1
"""Before the next attempt, where the process has no more file descriptors."""

READ_BUFFER = 16 * 1024
"""One TLS record. asyncio's own choice of 256 KiB for every connection, used or not, is 250 MB for 1,000 nodes."""

log = logging.getLogger(__name__)


class Handshakes:
    """Turns accepted sockets into protocols whose peer has shown its certificate."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        *,
        limit: int = MAX_HANDSHAKES,
        timeout_s: float = HANDSHAKE_S,
    ) -> None:
        self._context = context
        self._make = make
        self._limit = limit
        self._timeout_s = timeout_s
        self._under_way: dict[asyncio.Task[None], None] = {}

    async def serve(self, listener: socket.socket) -> None:
        """Accept for ever."""
        loop = asyncio.get_running_loop()
        sslproto.SSLProtocol.max_size = READ_BUFFER  # for this process; where asyncio has no such thing, no effect
        listener.setblocking(False)
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("the embedded broker cannot accept a connection: %s", error.strerror)
                await asyncio.sleep(PAUSE_S)
            else:
                self._begin(accepted)
                await asyncio.sleep(0)  # it begins before the next: cancelled before that, its socket would stay open

    async def stop(self) -> None:
        """End those that are under way."""
        await asyncio.sleep(0)
        pending = list(self._under_way)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _begin(self, accepted: socket.socket) -> None:
        if len(self._under_way) >= self._limit:
            oldest = next(iter(self._under_way))
            oldest.cancel()
            del self._under_way[oldest]
        task = asyncio.get_running_loop().create_task(self._shake(accepted))
        self._under_way[task] = None
        task.add_done_callback(lambda done: self._under_way.pop(done, None))

    async def _shake(self, accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # no certificate, another authority, not TLS, gone: the peer's affair
            await loop.connect_accepted_socket(
                self._make,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
