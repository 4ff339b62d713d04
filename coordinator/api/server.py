"""The gRPC server: binds, serves, stops. Loopback only, until identities exist."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from coordinator.api.errors import ErrorsToStatus
from coordinator.errors import BadInput, Refused
from protos.broker_url import is_loopback

Service = tuple[Callable[[Any, grpc.aio.Server], None], object]
"""`add_…Servicer_to_server`, and the servicer."""

MAX_MESSAGE = 4 * 1024 * 1024
STOP_GRACE_S = 2.0
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),  # a second coordinator on the same port must fail, not share it
)


class ApiServer:
    """Serves on `address` from `start` to `stop`."""

    def __init__(self, services: Sequence[Service], host: str, port: int) -> None:
        self._services = services
        self._host = host
        self._port = port
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()

    @property
    def address(self) -> str:
        """host:port; with port 0 known after `start`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            Refused: not a loopback address.
            BadInput: the port is in use.
        """
        if not is_loopback(self._host):
            raise Refused(
                f"host {self._host!r}: until identities exist the coordinator serves on 127.0.0.1 or ::1 only"
            )
        server = grpc.aio.server(interceptors=(ErrorsToStatus(),), options=OPTIONS)
        self._register(server)
        try:
            self._port = server.add_insecure_port(self.address)
        except RuntimeError:
            raise BadInput(f"{self.address} is in use or cannot be bound: choose another port with --port") from None
        await server.start()
        self._server = server
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Take no more calls, give those under way a moment, end."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(STOP_GRACE_S)
            self._server = None

    def _register(self, server: grpc.aio.Server) -> None:
        for add_to_server, servicer in self._services:
            add_to_server(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
