"""Keeps one broker connected: opens, waits for the loss, waits as `session.py` says, opens again.

link = Keeper(broker, opening, listener)
await link.start()          # returns at once; connects in the background, for ever
link.publish(topic, payload, qos=1, retain=False)
await link.stop()           # says the farewell
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable
from typing import Protocol

from edge_node.errors import BadInput
from edge_node.link.connection import Connection, Opening, Tls
from edge_node.link.gate import Gate
from edge_node.link.session import Backoff, next_attempt, next_short, reconnect_delay, rivalry
from protos.broker_url import Broker

ANSWER_TIMEOUT_S = 10.0

log = logging.getLogger(__name__)


class Owner(Protocol):
    """Who the connection is for; called on the event loop."""

    def opening(self) -> Opening:
        """What the next connection says of itself."""

    def connected_as(self, connection_id: str) -> None:
        """The broker accepted it."""

    def received(self, topic: str, payload: bytes) -> None:
        """A message came."""


class Keeper:
    """One broker, one connection at a time; the listener of each."""

    def __init__(self, broker: Broker, owner: Owner, backoff: Backoff, gate: Gate, tls: Tls | None = None) -> None:
        self._broker = broker
        self._gate = gate
        self._tls = tls
        self._owner = owner
        self._backoff = backoff
        self._connection: Connection | None = None
        self._accepted_at: float | None = None
        self._refused = False
        self._changed = asyncio.Event()
        self._over = self._renewing = False
        self._stopping = False
        self._short = 0
        self._task: asyncio.Task[None] | None = None
        self.state = f"not connected to {broker.safe_url}"
        """One line for people: connected, or why not."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._accepted_at is not None

    async def start(self) -> None:
        """Begin to connect, in the background."""
        self._task = asyncio.create_task(self._keep(), name=f"link to {self._broker.safe_url}")

    async def stop(self) -> None:
        """Say the farewell, disconnect, end."""
        self._stopping = True
        self._changed.set()
        if self._task is not None:
            await self._task

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over, from any thread; False when not connected or too much is under way."""
        connection = self._connection
        return connection is not None and not self._over and connection.publish(topic, payload, qos, retain)

    def renew(self) -> None:
        """End the connection without a farewell and open another: what the next one says of itself has changed."""
        self._over = self._renewing = True
        self._changed.set()

    def on_open(self) -> None:
        """The broker accepted the connection."""
        self._accepted_at = asyncio.get_running_loop().time()
        self._say(f"connected to {self._broker.safe_url}")
        self._changed.set()
        if self._connection is not None:
            self._owner.connected_as(self._connection.connection_id)

    def on_lost(self, reason: str, refused: bool) -> None:
        """The connection is over."""
        self._refused = refused
        self._over = True
        self._changed.set()
        if not self._stopping:
            self._say(reason)

    def on_message(self, topic: str, payload: bytes) -> None:
        """A message came."""
        self._owner.received(topic, payload)

    async def _keep(self) -> None:
        attempt = 0
        while not self._stopping:
            lasted_s = await self._one_connection()
            attempt, self._short = next_attempt(attempt, lasted_s), next_short(self._short, lasted_s)
            delay = reconnect_delay(self._backoff, attempt - 1, self._refused, random.random())  # noqa: S311 (jitter)
            await self._until(lambda: False, delay)

    async def _one_connection(self) -> float:
        """Live through one connection; how many seconds it was good for."""
        loop = asyncio.get_running_loop()
        self._over = self._refused = self._renewing = False
        opening = self._owner.opening()
        connection = self._connection = Connection(self._broker, opening, self, loop, self._gate, self._tls)
        try:
            await asyncio.to_thread(connection.open)
            answered = await self._until(lambda: self._over or self.connected, ANSWER_TIMEOUT_S)
            if answered:
                await self._until(lambda: self._over, None)
            elif not self._stopping:
                self._say(f"the broker at {self._broker.safe_url} does not answer")
        except BadInput as error:
            self._say(str(error))
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message if hasattr(error, "verify_message") else error.args[-1]
            self._say(f"the broker at {self._broker.safe_url} is not trusted: {why}")
        except OSError as error:
            self._say(f"cannot reach the broker at {self._broker.safe_url}: {error.strerror or error}")
        finally:
            await asyncio.to_thread(connection.close, farewell=not self._renewing)
            self._connection = None
            accepted_at, self._accepted_at = self._accepted_at, None
        return 0.0 if accepted_at is None else loop.time() - accepted_at

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for the condition, the stop, or the timeout; whether the condition holds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not (condition() or self._stopping):
                    self._changed.clear()
                    await self._changed.wait()
        return condition()

    def _say(self, state: str) -> None:
        state = rivalry(state, self._short)
        if state != self.state:
            log.log(logging.INFO if self.connected else logging.WARNING, "%s", state)
        self.state = state
