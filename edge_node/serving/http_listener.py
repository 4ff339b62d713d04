"""The door to aiohttp: a port that speaks HTTP/1.1, for REST and for metrics.

Connections are few and short of patience: see `patience`. Bodies come as they are, compressed or not, and are read by
who answers. A client that goes away cancels the answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from edge_node.serving.inference import Caller
from edge_node.serving.patience import Doing, Limits, Phase, is_overdue, most_dispensable
from edge_node.serving.settings import ServingSettings

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
log = logging.getLogger(__name__)
LINGER_S = 1.0
"""how long the rest of a refused body is read, so that the client sees the refusal"""
READ_BYTES = 1 << 18
LOOK_S = 1.0


class Connection(web.RequestHandler):
    """One client. `doing` is what the limits are held against."""

    __slots__ = ("caller", "doing", "listener")

    def __init__(self, listener: "Listener", settings: ServingSettings) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            listener,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # none at all: the annotation has no None
            keepalive_timeout=settings.idle_s,
            lingering_time=LINGER_S,
            read_bufsize=READ_BYTES,
            auto_decompress=False,
        )
        self.listener = listener
        self.doing = Doing(Phase.IDLE, loop.time())
        self.caller = Caller("")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is; where there are too many, this one or another one goes."""
        peer = transport.get_extra_info("peername")
        self.caller = Caller(peer[0] if peer else "")
        super().connection_made(transport)
        self.listener.make_room(self)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins to come."""
        if self.doing.phase is Phase.IDLE:
            self.doing = Doing(Phase.HEADER, self._loop.time(), self.doing.unsent_since)
        super().data_received(data)

    def enter(self, phase: Phase) -> None:
        """Do something else from now on."""
        self.doing.phase = phase
        self.doing.since = self._loop.time()

    def look(self, now: float, limits: Limits) -> None:
        """Close a connection that takes too long."""
        transport = self.transport
        if transport is None:
            return
        unsent = transport.get_write_buffer_size() > 0
        self.doing.unsent_since = (self.doing.unsent_since or now) if unsent else None
        if is_overdue(self.doing, now, limits):
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's: what it would say
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, and to a request whose answer failed."""
        if status >= web.HTTPInternalServerError.status_code:
            log.error("a request over HTTP failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("half of an answer has been sent")
        reason = "the server failed, its log says why" if status >= 500 else "this is not HTTP/1.1"
        response = web.json_response({"error": reason}, status=status)
        response.force_close()
        return response


class Listener(web.Server):
    """A port, and the connections to it."""

    def __init__(self, respond: Respond, settings: ServingSettings) -> None:
        super().__init__(self._answer, handler_cancellation=True)
        self.address = ""
        self._answers = respond
        self._settings = settings
        self._limits = Limits(settings.header_s, settings.write_s)
        self._port: asyncio.Server | None = None
        self._looking: asyncio.TimerHandle | None = None

    def __call__(self) -> Connection:
        """What asyncio makes for each client."""
        return Connection(self, self._settings)

    async def open(self, address: str) -> None:
        """Bind `host:port`; `address` says which port it became. Raises OSError where that cannot be."""
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        self._port = await loop.create_server(self, host.strip("[]"), int(port), backlog=128)
        self.address = f"{host}:{self._port.sockets[0].getsockname()[1]}"
        self._looking = loop.call_later(LOOK_S, self._look)

    async def close(self) -> None:
        """Take no more, let what has begun end within the time to drain."""
        if self._port is not None:
            self._port.close()
        if self._looking is not None:
            self._looking.cancel()
        self.pre_shutdown()
        await self.shutdown(self._settings.drain_s)

    def make_room(self, newest: Connection) -> None:
        """Close a connection where there is one too many: never a busy one but the newest."""
        connections = [one for one in self.connections if isinstance(one, Connection)]
        if len(connections) > self._settings.connections:
            others = (one for one in connections if one is not newest)
            (most_dispensable(others) or newest).force_close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = connection_of(request)
        connection.enter(Phase.BUSY)
        try:
            return await self._answers(request)
        finally:
            connection.enter(Phase.IDLE)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.look(loop.time(), self._limits)
        self._looking = loop.call_later(LOOK_S, self._look)


def connection_of(request: web.BaseRequest) -> Connection:
    """The connection that a request came on."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection


async def listen(respond: Respond, address: str, settings: ServingSettings) -> Listener:
    """A listener at `host:port` that answers with `respond`. Raises OSError where the address cannot be bound."""
    listener = Listener(respond, settings)
    await listener.open(address)
    return listener
