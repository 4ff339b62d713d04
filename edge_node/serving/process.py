"""The serving process: told what to serve on an inherited socket, it takes clients and hands their asks to workers.

The socket is the lifeline: when the parent closes it, what has begun is finished and the process ends.
"""

import asyncio
import errno
import importlib
import os
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import msgspec

from edge_node.capture.lifeline import die_with_parent
from edge_node.errors import BadInput, Exit, NearfieldError
from edge_node.serving.control import Failed, Listening, Served
from edge_node.serving.firewall.guard import Firewall
from edge_node.serving.lanes import Lanes
from edge_node.serving.metrics import ServingMetrics, registry_of
from edge_node.serving.metrics_listener import start_metrics
from edge_node.serving.parent import Parent
from edge_node.serving.server import Server
from edge_node.serving.settings import ServingSettings
from edge_node.telemetry.system import pss_kb

_TELL_S = 1.0
_TRIM_EVERY = 5
"""times of telling"""


def main(arguments: list[str]) -> int:
    """Serve until the parent hangs up.

    Args:
        arguments: the descriptor of the parent's socket, and `ServingSettings` as JSON.
    """
    die_with_parent()
    settings = msgspec.json.decode(arguments[1], type=ServingSettings)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(_serve(socket.socket(fileno=int(arguments[0])), settings))


async def _serve(connection: socket.socket, settings: ServingSettings) -> Exit:
    reader, writer = await asyncio.open_connection(sock=connection)
    parent = Parent(writer)
    server = Server(settings, parent.load, parent.unload)
    metrics = ServingMetrics(server)
    lanes = Lanes(settings, server.region_table, server.models.connected)
    async with AsyncExitStack() as open_things:
        try:
            lanes.listen()
            open_things.callback(lanes.close)
            parent.say(await _listen(server, metrics, settings, open_things))
        except (OSError, NearfieldError) as error:
            parent.say(Failed(0, f"serving cannot start: {error}"))
            await writer.drain()
            return Exit.FAILED
        telling = asyncio.create_task(_tell(parent, server))
        open_things.callback(telling.cancel)
        await parent.follow(reader, server, metrics)
        server.draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(server.models.drain(), settings.drain_s)
    return Exit.DONE


async def _listen(
    server: Server, metrics: ServingMetrics, settings: ServingSettings, open_things: AsyncExitStack
) -> Listening:
    """Open the ports; those with an empty address stay closed."""
    grpc = http = seen = ""
    firewall = Firewall(settings)
    if settings.metrics:
        with _at("metrics", settings.metrics):
            listener = await start_metrics(registry_of(metrics), settings, firewall.guard("metrics"), server.refused)
        open_things.push_async_callback(listener.close)
        seen = listener.address
    if settings.grpc:
        from edge_node.serving.grpc_server import start_grpc

        with _at("gRPC", settings.grpc):
            rpc = await start_grpc(server, settings, firewall.guard("grpc"))
        open_things.push_async_callback(rpc.close)
        grpc = rpc.address
    if settings.http:
        from edge_node.serving.http_server import start_http

        with _at("HTTP", settings.http):
            rest = await start_http(server, settings, firewall.guard("http"))
        open_things.push_async_callback(rest.close)
        http = rest.address
    return Listening(grpc, http, seen, settings.lanes)


@contextmanager
def _at(way: str, address: str) -> Iterator[None]:
    """What keeps a way from being opened at its address, in a line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror if error.filename else os.strerror(error.errno or errno.EIO)
        raise BadInput(f"{way} at {error.filename or address}: {reason}: choose another") from None


async def _tell(parent: Parent, server: Server) -> None:
    """What was done, each second; and memory that is not used goes back."""
    told = 0
    while True:
        parent.say(Served(server.answered, server.rejected, server.in_flight, pss_kb() or 0))
        told += 1
        if told % _TRIM_EVERY == 0:
            server.models.trim()
        await asyncio.sleep(_TELL_S)


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed."""
    with suppress(ImportError):
        loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        return loop
    return asyncio.new_event_loop()
