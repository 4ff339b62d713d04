"""The gRPC servers: bind, serve, stop. There is no listener without TLS.

Two of them: the API, which takes calls from holders of a certificate only, and enrollment, where a token or a proof
of key stands for one. When the coordinator's certificate was renewed they bind again by themselves, and calls under way
get a moment to end. (gRPC could ask for the certificate at every handshake, `dynamic_ssl_server_credentials`: with a
hundred handshakes at once that crashed the process in one run of four, with grpcio 1.85.)
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from coordinator.api.errors import Context, ErrorsToStatus
from coordinator.errors import BadInput

Service = tuple[Callable[[Any, grpc.aio.Server], None], object]
"""`add_…Servicer_to_server`, and the servicer."""

MAX_MESSAGE = 4 * 1024 * 1024
MAX_CALLS = 1000
"""Under way at the same time, of all callers."""
STOP_GRACE_S = 2.0
LOOK_EVERY_S = 30.0
"""Between looks at the certificate."""
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),  # a second coordinator on the same port must fail, not share it
    ("grpc.max_concurrent_streams", 100),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 10 * 60_000),
    ("grpc.max_connection_age_ms", 60 * 60_000),  # a certificate that ended ends its connections; calls may finish
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listener:
    """Where a server listens: `option` is what a person sets to choose another port."""

    host: str
    port: int
    option: str
    with_certificates: bool
    """whether callers must have one"""


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # its package has no types
    """Answers `Check`. Nobody waits in `Watch`: on the enrollment port strangers call, and calls are counted."""

    def Watch(  # noqa: N802 - as the service has it
        self,
        request: health_pb2.HealthCheckRequest,  # noqa: ARG002
        context: Context,
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Refuse."""
        return _refused(context)


async def _refused(context: Context) -> AsyncIterator[health_pb2.HealthCheckResponse]:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the health service answers Check only")
    yield health_pb2.HealthCheckResponse()  # type: ignore[unreachable]  # what makes this a stream


class ApiServer:
    """Serves on `address` from `start` to `stop`.

    Args:
        services: what it serves, beside the health service.
        listener: where.
        certificate: key, chain and trusted authorities, PEM, as they are at the moment.
        interceptors: around every call, the outermost first; errors become statuses before them all.
    """

    def __init__(
        self,
        services: Sequence[Service],
        listener: Listener,
        certificate: Callable[[], tuple[bytes, bytes, bytes]],
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        self._services = services
        self._listener = listener
        self._port = listener.port
        self._certificate = certificate
        self._interceptors = interceptors
        self._server: grpc.aio.Server | None = None
        self._shown = (b"", b"", b"")
        self._following: asyncio.Task[None] | None = None
        self._health = Health()

    @property
    def address(self) -> str:
        """host:port; with port 0 known after `start`."""
        host = self._listener.host
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            BadInput: the port is in use.
        """
        await self._bind()
        self._following = asyncio.create_task(self._follow_certificate(), name=f"certificate of {self.address}")

    async def _bind(self) -> None:
        """Serve with the certificate of now."""
        self._shown = self._certificate()
        server = grpc.aio.server(
            interceptors=(ErrorsToStatus(), *self._interceptors), options=OPTIONS, maximum_concurrent_rpcs=MAX_CALLS
        )
        self._register(server)
        try:
            self._port = server.add_secure_port(self.address, self._credentials())
        except RuntimeError:
            raise BadInput(
                f"{self.address} is in use or cannot be bound: choose another port with {self._listener.option}"
            ) from None
        await server.start()
        self._server = server
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def _follow_certificate(self) -> None:
        """Bind again when there is another certificate, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if self._server is None:
                    await self._bind()
                elif self._certificate() != self._shown:
                    await self._server.stop(STOP_GRACE_S)
                    self._server = None
                    await self._bind()
            except (BadInput, OSError) as error:
                log.warning("%s: trying again", error)

    async def stop(self) -> None:
        """Take no more calls, give those under way a moment, end."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(STOP_GRACE_S)
            self._server = None

    def _credentials(self) -> grpc.ServerCredentials:
        key, chain, authorities = self._shown
        return grpc.ssl_server_credentials(
            [(key, chain)],
            authorities if self._listener.with_certificates else None,
            require_client_auth=self._listener.with_certificates,
        )

    def _register(self, server: grpc.aio.Server) -> None:
        for add_to_server, servicer in self._services:
            add_to_server(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
