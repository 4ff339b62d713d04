"""The coordinator's one door to paho: a client of the broker that stays connected.

    client = BrokerClient(broker)
    client.when_connected(…)
    client.subscribe(topics.from_all_nodes(Kind.HELLO), 1, on_hello)     # before start
    await client.start()
    client.publish(topic, payload, qos=1, retain=True)

Handlers run on paho's thread, in the order in which messages came, and must not block; a QoS 1 message is acknowledged
to the broker when its handler returns. Callbacks of `when_connected` come on the event loop, after every connect: what
was published before may be lost, compare and repair. When to try again is `reconnect.py`.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from coordinator.config import CoordinatorConfig
from coordinator.errors import BadInput
from coordinator.link.listening import dialled
from coordinator.link.reconnect import DEFAULT_BACKOFF, Backoff, reconnect_delay
from coordinator.link.sweep import Spared, Sweep
from coordinator.link.tls import TlsFiles, client_context, reload
from coordinator.link.unwritten import Unwritten
from protos.broker_url import Broker, parse_broker_url
from protos.errors import ContractError
from protos.principal import BROKER_NAME

Handler = Callable[[str, bytes, bool], None]
"""Called with topic, payload, and whether it was retained."""

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 5.0
FAREWELL_S = 1.0
SWEEP_S = 10.0
MAX_IN_FLIGHT = 1000
MAX_QUEUED = 10_000
MAX_UNWRITTEN_BYTES = 16 * 1024 * 1024

log = logging.getLogger(__name__)


class BrokerClient:
    """Connects, subscribes, publishes, connects again."""

    def __init__(
        self, broker: Broker, *, on_connected: Callable[[], None] | None = None, backoff: Backoff = DEFAULT_BACKOFF
    ) -> None:
        self._broker = broker
        self._on_connected = [] if on_connected is None else [on_connected]
        self._backoff = backoff
        self._handlers: dict[str, tuple[int, Handler]] = {}
        self._client: Client | None = None
        self._context: ssl.SSLContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = threading.Event()
        self._swept: set[str] = set()
        self._unwritten = Unwritten(MAX_UNWRITTEN_BYTES)
        self._failed = 0
        self._refused = False
        self._ending = False
        self.state = f"not connected to {broker.safe_url}"
        """One line for people: connected, or why not."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._client is not None and self._client.is_connected()

    def subscribe(self, topic_filter: str, qos: int, handler: Handler) -> None:
        """Have messages that match handled, from the next connect on."""
        self._handlers[topic_filter] = (qos, handler)

    def when_connected(self, callback: Callable[[], None]) -> None:
        """Have something done on the event loop after every connect, from the next one on."""
        self._on_connected.append(callback)

    async def start(self) -> None:
        """Begin to connect, in the background, and go on for ever.

        Raises:
            BadInput: the CA file or the certificate cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._context = client_context(self._broker) if self._broker.tls else None
        client = self._client = _client(self._broker, self._context)
        client.on_connect = self._opened
        client.on_disconnect = self._lost
        client.on_connect_fail = self._not_reached
        for topic_filter, (_, handler) in self._handlers.items():
            client.message_callback_add(topic_filter, _guarded(handler))
        client.connect_async(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        client.loop_start()

    async def stop(self) -> None:
        """Send what is under way, disconnect, end."""
        if self._client is not None:
            await asyncio.to_thread(self._end, self._client)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over. Thread-safe, never blocks; False when not connected or too much is under way."""
        if self._client is None or not self._client.is_connected():
            return False
        if qos == 0 and not self._unwritten.has_room():
            return False
        info = self._client.publish(topic, payload, qos, retain)
        if qos == 0:
            self._unwritten.add(info, len(payload))
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def sweep(self, topic_filter: str, spared: Spared) -> bool:
        """Begin to clear what is retained on all topics that match, but those in use by then; False when not connected.

        The broker hands over what it retains with every subscription: with a second one, some seconds later, what
        somebody wrote whom the rules let in until then. Thread-safe.
        """
        client, loop = self._client, self._loop
        if client is None or loop is None or not client.is_connected():
            return False

        def clear(topic: str) -> None:
            client.publish(topic, b"", 1, True)

        def again() -> None:
            client.subscribe(topic_filter, 1)
            loop.call_later(SWEEP_S / 2, end)

        def end() -> None:
            self._swept.discard(topic_filter)
            client.message_callback_remove(topic_filter)
            client.unsubscribe(topic_filter)

        self._swept.add(topic_filter)
        client.message_callback_add(topic_filter, _guarded(Sweep(clear, spared, loop).on_message))
        client.subscribe(topic_filter, 1)
        loop.call_soon_threadsafe(loop.call_later, SWEEP_S / 2, again)
        return True

    def _opened(
        self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._refused = code.is_failure
        if self._refused:
            self._warn(
                f"the broker at {self._broker.safe_url} refuses the connection: {str(code).lower()}: check its "
                "user name, password or certificate, and access rules"
            )
            return
        self._failed = 0
        self._over.clear()
        if self._handlers:
            client.subscribe([(topic_filter, qos) for topic_filter, (qos, _) in self._handlers.items()])
        for topic_filter in tuple(self._swept):  # a sweep that the loss of a connection interrupted goes on
            client.subscribe(topic_filter, 1)
        self.state = f"connected to {self._broker.safe_url}"
        log.info("%s", self.state)
        for callback in self._on_connected:
            self._post(callback)

    def _post(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)

    def _lost(
        self, client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._over.set()
        if not self._refused:
            self._warn(f"lost the connection to the broker at {self._broker.safe_url}: {str(code).lower()}")
        self._delay_next(client)

    def _not_reached(self, client: Client, _data: Any) -> None:
        self._refused = False
        self._warn(f"cannot reach the broker at {self._broker.safe_url}: nobody answers or TLS fails; trying on")
        self._delay_next(client)

    def _delay_next(self, client: Client) -> None:
        """Draw the pause that paho makes before its next attempt, and read the files that may be others by then."""
        if self._context is not None:
            reload(self._context, self._broker)
        delay = reconnect_delay(self._backoff, self._failed, self._refused, random.random())  # noqa: S311 (jitter)
        self._failed += 1
        client.reconnect_delay_set(delay, delay)  # type: ignore[arg-type]  # annotated int; it sleeps any number

    def _end(self, client: Client) -> None:
        self._over.clear()
        self._ending = True
        if client.disconnect() == MQTTErrorCode.MQTT_ERR_SUCCESS and not self._over.wait(FAREWELL_S):
            _cut(client)
        client.loop_stop()
        # paho closes its inner sockets when it goes: at once, if nothing of ours points back to it
        self._client = client.on_connect = client.on_disconnect = client.on_connect_fail = None

    def _warn(self, state: str) -> None:
        """Once, however often it is tried again: without a broker no node hears of anything."""
        if state != self.state and not self._ending:
            log.warning("%s", state)
        self.state = state


def broker_of(config: CoordinatorConfig, own: TlsFiles | None = None) -> Broker | None:
    """The broker that the configuration names, or None: the coordinator runs its own.

    One with TLS for which the configuration has no login and no authority is of the coordinator's own authority
    (`edgectl broker config`): it logs in with its own files.

    Raises:
        BadInput: not a broker URL, plaintext off the loopback interface, no such password file.
    """
    if config.broker is None:
        return None
    password = None if config.broker_password_file is None else _password(Path(config.broker_password_file))
    try:
        broker = parse_broker_url(
            config.broker,
            username=config.broker_username,
            password=password,
            ca_file=config.broker_ca_file,
            cert_file=config.broker_cert_file,
            key_file=config.broker_key_file,
        )
        stranger = (broker.username, broker.ca_file, broker.cert_file) != (None, None, None)
        return broker if own is None or stranger or not broker.tls else own_identity(config.broker, own)
    except ContractError as error:
        raise BadInput(str(error)) from None


def own_identity(url: str, tls: TlsFiles) -> Broker:
    """A broker of the coordinator's own authority, where it logs in with its own certificate: the broker's must have
    the name that all brokers of the authority have. An unspecified address is dialled on this machine.

    Raises:
        ContractError: not a broker URL.
    """
    broker = parse_broker_url(url, ca_file=str(tls.ca), cert_file=str(tls.certificate), key_file=str(tls.key))
    return replace(broker, host=dialled(broker.host), server_name=BROKER_NAME)


def _password(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"broker_password_file {file} cannot be read: {error}") from None


def _client(broker: Broker, context: ssl.SSLContext | None) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"coordinator-{secrets.token_hex(8)}",
        protocol=MQTTProtocolVersion.MQTTv311,
        clean_session=True,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.on_socket_open = _send_at_once
    client.max_inflight_messages_set(MAX_IN_FLIGHT)
    client.max_queued_messages_set(MAX_QUEUED)
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password)
    if context is not None:
        client.tls_set_context(context)
    return client


def _send_at_once(_client: Client, _data: Any, transport: Any) -> None:
    """A small message does not wait for TCP's acknowledgement of the one before (Nagle's algorithm: up to 40 ms)."""
    if isinstance(transport, socket.socket):
        transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _guarded(handler: Handler) -> Callable[[Client, Any, MQTTMessage], None]:
    """The handler as paho calls it; an error in it must not end paho's thread."""

    def handle(_client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            handler(message.topic, bytes(message.payload), message.retain)
        except Exception:  # a boundary: one message of one node must not silence all others
            log.exception("a message on %s could not be handled", message.topic)

    return handle


def _cut(client: Client) -> None:
    """End a connection whose other side takes nothing any more."""
    transport = client.socket()
    if isinstance(transport, socket.socket):
        with contextlib.suppress(OSError):  # already gone
            transport.shutdown(socket.SHUT_RDWR)
