"""A short-lived way from a Unix socket through TLS to the coordinator, for gRPC in a child process.

    with tunnel("10.0.0.5:7070", context) as way:
        grpc.insecure_channel(way.target)

gRPC brings its own TLS (BoringSSL), whose clock cannot be chosen and which knows no client context of ours. The
socket lies in a folder that only this user can enter, and is gone with the block.
"""

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from protos.principal import SERVER_NAME

CHUNK = 256 * 1024
DIAL_S = 10.0


class NotTaken(OSError):
    """The server ended the connection between the handshake and its first word."""


class Tunnel:
    """One way to one address; `trouble` is what went wrong last, None while nothing did."""

    def __init__(self, address: str, context: ssl.SSLContext, folder: Path) -> None:
        host, _, port = address.rpartition(":")
        self.trouble: OSError | None = None
        self._host, self._port = host.strip("[]"), int(port)
        self._context = context
        self._context.set_alpn_protocols(["h2"])
        self._socket = folder / "h2.sock"
        self._loop = asyncio.new_event_loop()

    @property
    def target(self) -> str:
        """What gRPC dials."""
        return f"unix:{self._socket}"

    def run(self, ready: threading.Event) -> None:
        """Carry until `stop`, in a thread of its own."""
        stopped = contextlib.suppress(asyncio.CancelledError)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, stopped:
            runner.run(self._serve(ready))

    def stop(self) -> None:
        """End; from any thread."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _serve(self, ready: threading.Event) -> None:
        async with await asyncio.start_unix_server(self._carry, self._socket, limit=CHUNK) as server:
            ready.set()
            await server.serve_forever()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection. The server speaks first (its SETTINGS, RFC 9113 section 3.4): until then nothing is
        sent, because a server that refuses our certificate would reset what it has not read, and its alert with it."""
        try:
            async with asyncio.timeout(DIAL_S):
                far_reader, far_writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._context, server_hostname=SERVER_NAME, limit=CHUNK
                )
                writer.write(await _first_word(far_reader))
        except OSError as error:  # TimeoutError and ssl.SSLError are OSErrors
            self.trouble = error
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the end of the block; asyncio would report it as an error
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except ssl.SSLError as error:  # how a server refuses a certificate in TLS 1.3: after the handshake
            self.trouble = error
        except OSError:
            pass
        finally:
            writer.close()


async def _first_word(reader: asyncio.StreamReader) -> bytes:
    if data := await reader.read(CHUNK):
        return data
    raise NotTaken


@contextlib.contextmanager
def tunnel(address: str, context: ssl.SSLContext) -> Iterator[Tunnel]:
    """A tunnel to host:port that lives as long as the block."""
    with tempfile.TemporaryDirectory(prefix="nearfield-") as folder:
        way, ready = Tunnel(address, context, Path(folder)), threading.Event()
        thread = threading.Thread(target=way.run, args=(ready,), name=f"tunnel to {address}")
        thread.start()
        ready.wait()
        try:
            yield way
        finally:
            way.stop()
            thread.join()
