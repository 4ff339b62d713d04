"""The gRPC server of the serving process: bind, serve, stop. What calls do is in `rpc/`."""

import errno
from collections.abc import Awaitable
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from edge_node.serving.firewall.guard import Guard
from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rpc.edge import Context, Edge
from edge_node.serving.rpc.health import INFERENCE, Health
from edge_node.serving.rpc.infer import Inferring
from edge_node.serving.rpc.methods import METHODS, Method
from edge_node.serving.rpc.patience import Patience
from edge_node.serving.seam import Serving
from edge_node.serving.settings import ServingSettings, Tls

IDLE_MS = 600_000
"""A connection without calls is closed then; clients connect again by themselves."""
LARGEST_OTHER = 1 << 20
"""bytes of a message that carries no tensors"""
SERVICES = (INFERENCE, "grpc.health.v1.Health", reflection.SERVICE_NAME)


class GrpcServer:
    """A server that takes calls until it is closed. `address` is host:port as bound, or unix:PATH."""

    def __init__(self, server: grpc.aio.Server, address: str, drain_s: float) -> None:
        self.address = address
        self._server = server
        self._drain_s = drain_s

    async def close(self) -> None:
        """Take no more calls, give those under way a moment, end."""
        await self._server.stop(self._drain_s)


async def start_grpc(serving: Serving, settings: ServingSettings, guard: Guard | None = None) -> GrpcServer:
    """Bind and serve. Reflection is for programmers on the machine itself: where names are asked for there is none.

    Raises:
        OSError: the address can't be bound, or a file of TLS not read.
    """
    guard = guard or Guard()
    server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=settings.calls)
    tls = settings.tls if "grpc" in settings.guarded else None
    edge = Edge(guard, serving.refused, certificates=tls is not None and tls.clients is not None)
    server.add_generic_rpc_handlers((_inference(serving, edge, settings),))
    health_pb2_grpc.add_HealthServicer_to_server(Health(serving, edge), server)
    if not guard.asks_for_keys:
        reflection.enable_server_reflection(SERVICES, server)
    address = _bind(server, settings)
    await server.start()
    return GrpcServer(server, address, settings.drain_s)


def _options(settings: ServingSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.request_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", settings.limits.concurrent or settings.connection_calls),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.max_allowed_incoming_connections", settings.grpc_connections),
        ("grpc.server_handshake_timeout_ms", int(settings.handshake_s * 1000)),
        ("grpc.keepalive_time_ms", 60_000),  # finds clients whose machine is gone
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.http2.max_requests_per_read", 4),  # nobody's many calls before another's one
        ("grpc.http2.ping_on_rst_stream_percent", 100),  # calls that are taken back cost their client a round trip
        ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share it
    ]


def _bind(server: grpc.aio.Server, settings: ServingSettings) -> str:
    """Bind, and the address with the port that it became."""
    try:
        if settings.tls is None or "grpc" not in settings.guarded:
            port = server.add_insecure_port(settings.grpc)
        else:
            port = server.add_secure_port(settings.grpc, _credentials(settings.tls))
    except RuntimeError:
        reason = f"{settings.grpc} is in use or cannot be bound: choose another address for gRPC"
        raise OSError(errno.EADDRINUSE, reason) from None
    if settings.grpc.startswith("unix:"):
        return settings.grpc
    return f"{settings.grpc.rpartition(':')[0]}:{port}"


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    key, chain = Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes()
    clients = None if tls.clients is None else Path(tls.clients).read_bytes()
    return grpc.ssl_server_credentials([(key, chain)], clients, require_client_auth=clients is not None)


def _inference(serving: Serving, edge: Edge, settings: ServingSettings) -> grpc.GenericRpcHandler:
    """The inference service: bytes in, bytes out, so that a call is admitted before it is read."""
    patience = Patience(settings.body_s, settings.halves)
    inferring = Inferring(serving, edge, settings, patience)
    handlers = {name: _unary(serving, edge, method, patience) for name, method in METHODS.items()}
    handlers["ModelInfer"] = grpc.stream_unary_rpc_method_handler(inferring.infer)
    handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(inferring.stream)
    return grpc.method_handlers_generic_handler(INFERENCE, handlers)


def _unary(serving: Serving, edge: Edge, method: Method, patience: Patience) -> "grpc.RpcMethodHandler[bytes, bytes]":
    async def answer(context: Context) -> bytes:
        with edge.admit(context, method.scope) as caller:
            request = _read(method, await patience.message(context))
            given = method.answer(serving, request, caller)
            return (await given if isinstance(given, Awaitable) else given).SerializeToString()

    async def call(_: object, context: Context) -> bytes:
        return await edge.answered(context, answer(context))

    return grpc.stream_unary_rpc_method_handler(call)


def _read(method: Method, message: bytes) -> Message:
    if len(message) > LARGEST_OTHER:
        raise ServingError(Kind.TOO_LARGE, f"a {method.request.DESCRIPTOR.name} has at most {LARGEST_OTHER} bytes")
    try:
        return method.request.FromString(message)
    except DecodeError:
        raise ServingError(Kind.INVALID, f"the request is no {method.request.DESCRIPTOR.name}") from None
