"""Takes connections of TLS: how many handshakes there are at the same time, and of one address, is bounded.

What is not through its handshake is nobody's connection yet. A connection that has come through it is given to the
protocol that speaks on it.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import cast

HANDSHAKES = 128
"""at the same time"""
OF_ADDRESS = 16
"""of them, of one address"""


class Handshakes:
    """Those under way."""

    def __init__(self, refused: Callable[[str], None]) -> None:
        self._of: Counter[str] = Counter()
        self._refused = refused

    def begin(self, address: str) -> bool:
        """Whether there is room for one more of an address."""
        if self._of.total() >= HANDSHAKES or self._of[address] >= OF_ADDRESS:
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


class Door(asyncio.Protocol):
    """One client before its handshake is done."""

    def __init__(
        self,
        handshakes: Handshakes,
        context: ssl.SSLContext,
        patience_s: float,
        speaker: Callable[[], asyncio.Protocol],
    ) -> None:
        self._handshakes = handshakes
        self._context = context
        self._patience_s = patience_s
        self._speaker = speaker
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake where there is room for it."""
        stream = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        peer = transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        if not self._handshakes.begin(address):
            stream.abort()
            return
        stream.pause_reading()  # until TLS reads
        self._task = asyncio.create_task(self._shake(stream, address))

    async def _shake(self, transport: asyncio.Transport, address: str) -> None:
        speaker = Early(self._speaker())
        done = False
        try:
            secure = await asyncio.get_running_loop().start_tls(
                transport, speaker, self._context, server_side=True, ssl_handshake_timeout=self._patience_s
            )
            done = secure is not None
        except (OSError, TimeoutError):  # of which SSLError is one: whoever it was cannot speak TLS with us
            transport.abort()
        finally:
            self._handshakes.end(address, done=done)
        if done and secure is not None:
            speaker.begin(secure)


class Early(asyncio.Protocol):
    """Keeps what comes with the last message of a handshake until the speaker knows of its connection."""

    def __init__(self, speaker: asyncio.Protocol) -> None:
        self._speaker = speaker
        self._before: list[bytes] = []

    def begin(self, transport: asyncio.Transport) -> None:
        """Hand the connection over."""
        self._speaker.connection_made(transport)
        transport.set_protocol(self._speaker)
        for data in self._before:
            self._speaker.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Something came too early."""
        self._before.append(data)
