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
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_node.capture.lifeline import die_with_parent
from edge_node.errors import BadInput, Exit, NearfieldError
from edge_node.framing import pack
from edge_node.sandbox.confinement import Confined
from edge_node.sandbox.server import close_ports, confine_server
from edge_node.serving.binding import with_numbers
from edge_node.serving.control import Failed, Listening, Served
from edge_node.serving.firewall.guard import Firewall
from edge_node.serving.firewall.key_file import read_keys
from edge_node.serving.firewall.keys import Key
from edge_node.serving.lanes import Lanes, bind_lanes
from edge_node.serving.metrics import ServingMetrics, registry_of
from edge_node.serving.metrics_listener import start_metrics
from edge_node.serving.parent import Parent
from edge_node.serving.regions import FOLDER as SHARED_MEMORY
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
    connection = socket.socket(fileno=int(arguments[0]))
    try:
        prepared = _prepared(settings)
    except (OSError, NearfieldError) as error:
        connection.sendall(pack(_no_start(error)))
        return Exit.FAILED
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(_serve(connection, prepared))


@dataclass(frozen=True)
class _Prepared:
    """What was made before this process was confined."""

    settings: ServingSettings
    lanes: socket.socket
    keys: tuple[Key, ...]
    confined: Confined


def _prepared(settings: ServingSettings) -> _Prepared:
    """Do what may not be done any more afterwards, and confine this process: it has one thread yet, and no loop.

    Raises:
        OSError, BadInput, Refused: what there is not, or cannot be used.
    """
    bound, lanes = with_numbers(settings), bind_lanes(settings)
    keys = read_keys(Path(settings.keys)) if settings.keys else ()
    tls = settings.tls
    files = [] if tls is None else [file for file in (tls.key, tls.certificate, tls.clients) if file]
    return _Prepared(bound, lanes, keys, confine_server(files, (SHARED_MEMORY,), settings.sandbox))


async def _serve(connection: socket.socket, prepared: _Prepared) -> Exit:
    settings = prepared.settings
    reader, writer = await asyncio.open_connection(sock=connection)
    parent = Parent(writer)
    server = Server(settings, parent.load, parent.unload)
    metrics = ServingMetrics(server)
    lanes, firewall = Lanes(settings, server.region_table, server.models.connected), Firewall(settings)
    firewall.told(prepared.keys)
    async with AsyncExitStack() as open_things:
        lanes.listen(prepared.lanes)
        open_things.callback(lanes.close)
        try:
            addresses = await _listen(server, metrics, settings, firewall, open_things)
            close_ports(prepared.confined)
            parent.say(msgspec.structs.replace(addresses, sandbox=prepared.confined.text))
        except (OSError, NearfieldError) as error:
            parent.say(_no_start(error))
            await writer.drain()
            return Exit.FAILED
        telling = asyncio.create_task(_tell(parent, server))
        open_things.callback(telling.cancel)
        await parent.follow(reader, server, metrics, firewall)
        server.draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(server.models.drain(), settings.drain_s)
    return Exit.DONE


def _no_start(error: Exception) -> Failed:
    return Failed(0, f"serving cannot start: {error}")


async def _listen(
    server: Server, metrics: ServingMetrics, settings: ServingSettings, firewall: Firewall, open_things: AsyncExitStack
) -> Listening:
    """Open the ports; those with an empty address stay closed."""
    grpc = http = seen = ""
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
