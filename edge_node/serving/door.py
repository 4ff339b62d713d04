"""Takes connections of TLS: how many handshakes there are at the same time, and of one address, is bounded.

What is not through its handshake is nobody's connection yet; asyncio's own servers do not bound that.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from edge_node.serving.firewall.bucket import Rate
from edge_node.serving.firewall.clients import ClientLimits, Clients

A_SECOND = Rate(per_s=50.0, burst=100)
"""new connections of one address: each costs a signature"""
BACKLOG = 128
AT_ONCE = 16
"""clients that are accepted before anything else is done"""
HANDSHAKES = 128
"""at the same time"""
OF_ADDRESS = 16
"""of them, of one address"""


class Handshakes:
    """Those under way."""

    def __init__(self, refused: Callable[[str], None]) -> None:
        self._of: Counter[str] = Counter()
        self._pace = Clients(ClientLimits(A_SECOND))
        self._refused = refused

    def begin(self, address: str, now: float) -> bool:
        """Whether there is room for one more of an address."""
        if self._of.total() >= HANDSHAKES or self._of[address] >= OF_ADDRESS or not self._pace.allows(address, now):
            self._refused("handshakes")
            return False
        self._of[address] += 1
        return True

    def end(self, address: str, *, done: bool) -> None:
        """One is over."""
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]
        if not done:
            self._refused("handshake")


class Door:
    """A bound port whose clients begin with TLS; those who come through it are given to a new `speaker`."""

    def __init__(
        self, port: socket.socket, context: ssl.SSLContext, patience_s: float, speaker: Callable[[], asyncio.Protocol],
        refused: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.sockets = (port,)
        self._port = port
        self._context = context
        self._patience_s = patience_s
        self._speaker = speaker
        self._handshakes = Handshakes(refused)
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Take clients."""
        self._port.setblocking(False)
        self._port.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._port, self._accept)

    def close(self) -> None:
        """Take no more."""
        asyncio.get_running_loop().remove_reader(self._port)
        self._port.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                client, peer = self._port.accept()
            except OSError:  # nobody waits, or whoever did has gone, or there is no descriptor left for now
                return
            address = str(peer[0])
            if not self._handshakes.begin(address, asyncio.get_running_loop().time()):
                client.close()
                continue
            task = asyncio.create_task(self._shake(client, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _shake(self, client: socket.socket, address: str) -> None:
        done = False
        try:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._speaker, client, ssl=self._context, ssl_handshake_timeout=self._patience_s
            )
            done = True
        except (OSError, TimeoutError):  # of which SSLError is one: whoever it was cannot speak TLS with us
            client.close()
        finally:
            self._handshakes.end(address, done=done)


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to an address. Raises OSError where that cannot be."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found
