"""The door to aiohttp: a port that speaks HTTP/1.1, for REST and for metrics.

Connections are few, of one address fewer, and short of patience: see `patience`. Bodies come as they are, compressed or
not, and are read by who answers. A client that goes away cancels the answer.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from edge_node.serving.door import Door, bound
from edge_node.serving.firewall.guard import Asking, Guard
from edge_node.serving.firewall.tls import common_name
from edge_node.serving.patience import Doing, Limits, Phase, is_overdue, most_dispensable
from edge_node.serving.settings import ServingSettings

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
log = logging.getLogger(__name__)
LINGER_S = 1.0
"""how long the rest of a refused body is read, so that the client sees the refusal"""
PIECE_BYTES = 1 << 14
MOST_AHEAD = 64
"""requests that a client of another machine may send before the first is answered"""
TURN_S = 0.002
"""where others ask, large bodies take turns: in this time one connection may bring `READ_BYTES`"""
LARGE_BYTES = 1 << 16
"""that come at once"""
DISCARD_EVERY_S = 0.01
"""where others ask, for `READ_BYTES` at most: reading what is thrown away is work that an attacker has us do"""
MOST_DISCARDING = 8
"""of connections at the same time; of more the answer is all that is sent"""
READ_BYTES = 1 << 18
LOOK_S = 1.0


class Connection(web.RequestHandler):
    """One client: `address` and the name of its certificate. `doing` is what the limits are held against."""

    __slots__ = ("address", "certificate", "discarding", "doing", "listener")

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
        self.discarding = False
        """whether what comes is the rest of a body that was refused"""
        self.address = ""
        self.certificate = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is; where there are too many, this one or another one goes."""
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        self.certificate = common_name(transport.get_extra_info("peercert"))
        super().connection_made(transport)
        self.listener.make_room(self)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins to come."""
        if self.discarding:
            self._wait(DISCARD_EVERY_S)
        elif not self.listener.trusts and len(data) >= LARGE_BYTES:
            self._wait(self.listener.turn())
        if self.doing.phase is Phase.IDLE:
            self.doing = Doing(Phase.HEADER, self._loop.time(), self.doing.unsent_since)
        if self.listener.trusts or len(data) <= PIECE_BYTES:
            super().data_received(data)
        else:
            self._receive_in_pieces(memoryview(data))

    def _receive_in_pieces(self, data: memoryview) -> None:
        """So that requests which are sent ahead by the hundred are noticed before all of them are parsed."""
        for start in range(0, len(data), PIECE_BYTES):
            super().data_received(bytes(data[start : start + PIECE_BYTES]))
            if len(self._messages) > MOST_AHEAD:
                self.listener.refused("pipelined")
                self.force_close()
                return

    def answer_and_close(self) -> None:
        """What else comes with this request is not read."""
        self._lingering_time = 0.0

    def _wait(self, seconds: float) -> None:
        """Read no more for so long."""
        if self.transport is not None:
            self.transport.pause_reading()
            self._loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

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
            self.listener.overdue()
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
    """A port, and the connections to it: with `tls` each begins with a handshake."""

    def __init__(
        self,
        respond: Respond,
        settings: ServingSettings,
        tls: ssl.SSLContext | None = None,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(self._answer, handler_cancellation=True)
        self._tls = tls
        self.trusts = tls is None
        """whether its clients are on this machine, as far as it is known"""
        self.refused = refused
        """is told of connections that are closed, by a word for the reason"""
        self.address = ""
        self._answers = respond
        self._settings = settings
        self._limits = Limits(settings.header_s, settings.write_s)
        self._next_turn = 0.0
        self._port: asyncio.Server | Door | None = None
        self._looking: asyncio.TimerHandle | None = None

    def __call__(self) -> Connection:
        """What asyncio makes for each client."""
        return Connection(self, self._settings)

    async def open(self, address: str) -> None:
        """Bind `host:port`; `address` says which port it became. Raises OSError where that cannot be."""
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        if self._tls is None:
            self._port = await loop.create_server(self, host.strip("[]"), int(port), backlog=128)
        else:
            own = bound(host.strip("[]"), int(port))
            self._port = Door(own, self._tls, self._settings.handshake_s, self, self.refused)
            self._port.open()
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
        """Close a connection where there is one too many, of its address or in all: never a busy one but the newest."""
        connections = [one for one in self.connections if isinstance(one, Connection)]
        own = [one for one in connections if one.address == newest.address]
        most_own = self._settings.limits.connections
        if most_own and len(own) > most_own:
            self._close_one(own, newest)
        elif len(connections) > self._settings.connections:
            self._close_one(connections, newest)

    def turn(self) -> float:
        """The seconds until a connection with a large body may go on: those who come after it, later."""
        now = asyncio.get_running_loop().time()
        self._next_turn = max(self._next_turn, now) + TURN_S
        return self._next_turn - now

    def overdue(self) -> None:
        """A connection took too long."""
        self.refused("slow")

    def _close_one(self, connections: list[Connection], newest: Connection) -> None:
        others = (one for one in connections if one is not newest)
        (most_dispensable(others) or newest).force_close()
        self.refused("connections")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = connection_of(request)
        connection.enter(Phase.BUSY)
        connection.discarding = False
        try:
            return await self._answers(request)
        finally:
            connection.enter(Phase.IDLE)
            if not (self.trusts or request.content.is_eof()):
                self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        """The rest of a refused body comes to nothing: slowly, from few."""
        connection.discarding = True
        if sum(one.discarding for one in self.connections if isinstance(one, Connection)) > MOST_DISCARDING:
            connection.answer_and_close()

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


def path_of(request: web.BaseRequest) -> str:
    """The path as it came, without the query."""
    path = request.raw_path.partition("?")[0]
    return path if path.startswith("/") else request.rel_url.raw_path


def asking_of(request: web.BaseRequest, guard: Guard) -> Asking:
    """What is known of whoever asks."""
    connection = connection_of(request)
    key = request.headers.get("Authorization", "") if guard.asks_for_keys else ""
    return Asking(connection.address, connection.certificate, key)


async def listen(
    respond: Respond,
    address: str,
    settings: ServingSettings,
    tls: ssl.SSLContext | None = None,
    refused: Callable[[str], None] = lambda _: None,
) -> Listener:
    """A listener at `host:port` that answers with `respond`; `refused` counts connections that are closed.

    Raises OSError where the address cannot be bound.
    """
    listener = Listener(respond, settings, tls, refused)
    await listener.open(address)
    return listener
