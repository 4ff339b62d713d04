"""The node's one door to paho: a single MQTT 3.1.1 connection, from CONNECT to its loss.

A new one is made for every attempt, so that nothing of an old connection survives it: the will carries the new
connection's id, and what was queued dies with its queue (the outbox sends durable results again; live results are
never replayed). When to try again is `session.py`, trying again is `keeper.py`.

Nothing leaves but through the gate: `_hand_over` is the one place that publishes, and the will is looked at too.

paho calls back on its own thread. Every callback ends in `_post`, which hands over to the event loop.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_node.link.gate import Gate
from edge_node.link.session import powerless, refusal
from edge_node.link.tls import alert_of
from edge_node.link.window import Window
from protos.broker_url import Broker

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 5.0
FAREWELL_S = 1.0
MAX_IN_FLIGHT = 1000
"""paho's default of 20 makes every 20th message wait for a round trip."""
MAX_QUEUED = 5000
MAX_QUEUED_BYTES = 16 * 1024 * 1024

Tls = Callable[[], ssl.SSLContext]
"""Makes the context of a connection when it is opened: a renewed certificate is used at the next one."""


@dataclass(frozen=True)
class Message:
    """Something to publish."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Opening:
    """What a connection says of itself: its id, its will, its first messages, what it listens to."""

    connection_id: str
    client_id: str
    will: Message | None = None
    greeting: tuple[Message, ...] = ()
    subscriptions: tuple[tuple[str, int], ...] = ()
    farewell: tuple[Message, ...] = ()


class Listener(Protocol):
    """What happens to a connection; called on the event loop."""

    def on_open(self) -> None:
        """The broker accepted it."""

    def on_lost(self, reason: str, refused: bool) -> None:
        """It is over, or never came to be."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """A message came."""


class Connection:
    """One connection. `open` and `close` block; `publish` never does and may be called from any thread."""

    def __init__(
        self,
        broker: Broker,
        opening: Opening,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        gate: Gate,
        tls: Tls | None = None,
    ) -> None:
        self._broker = broker
        self._gate = gate
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._opening = opening
        self._listener = listener
        self._loop = loop
        self._client: Client | None = None
        self._window = Window(MAX_QUEUED, MAX_QUEUED_BYTES)
        self._accepted = False
        self._refused = False
        self._over = threading.Event()

    @property
    def connection_id(self) -> str:
        """The id that the will carries."""
        return self._opening.connection_id

    def open(self) -> None:
        """Dial, and leave the rest to paho's thread; the listener hears of the answer.

        Raises:
            OSError: nobody answers, the name does not resolve, TLS fails, a CA file cannot be read.
            BadInput: the files of the node's identity cannot be used.
        """
        client = _client(self._broker, self._opening, self._gate)
        if self._broker.tls:
            self._context = _file_context(self._broker) if self._tls is None else self._tls()
            client.tls_set_context(self._context)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._client = client  # before its thread runs: the listener publishes as soon as the broker has accepted
        client.loop_start()

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> bool:
        """Hand a message over; False when not connected, too much is under way, or it may not leave."""
        client = self._client
        if client is None or not self._accepted or not self._window.has_room(len(payload)):
            return False
        return self._hand_over(client, Message(topic, payload, qos, retain))

    def close(self, *, farewell: bool = True) -> None:
        """Say the farewell if there is anyone to say it to, disconnect, and wait for paho's thread to end."""
        client = self._client
        if client is None:
            return
        if farewell and self._accepted:
            self._say_farewell()
        client.disconnect()
        if not self._over.wait(FAREWELL_S):
            _cut(client)
        client.loop_stop()
        # paho closes its inner sockets when it goes: at once, if nothing of ours points back to it
        self._client = client.on_connect = client.on_disconnect = client.on_message = client.on_subscribe = None

    def _hand_over(self, client: Client, message: Message) -> bool:
        if not self._gate.may_leave(message.topic, message.payload):
            return False
        payload = self._gate.packed(message.topic, message.payload)
        info = client.publish(message.topic, payload, message.qos, message.retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self._gate.left(message.topic, len(payload))
        self._window.add(info, len(payload))
        return True

    def _say_farewell(self) -> None:
        for message in self._opening.farewell:
            self.publish(message.topic, message.payload, message.qos, message.retain)
        deadline = FAREWELL_S
        while self._window.unconfirmed() and deadline > 0 and not self._over.wait(0.01):
            deadline -= 0.01

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._refused = True
            self._post(self._listener.on_lost, refusal(self._broker.safe_url, str(code)), True)
            return
        for message in self._opening.greeting:
            self._hand_over(client, message)
        if self._opening.subscriptions:
            client.subscribe(list(self._opening.subscriptions))
        self._accepted = True
        self._post(self._listener.on_open)

    def _on_subscribe(
        self, client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        """Mosquitto lets in everyone with a certificate, and then grants a revoked node nothing."""
        if any(code.is_failure for code in codes):
            self._refused, self._accepted = True, False
            self._post(self._listener.on_lost, powerless(self._broker.safe_url), True)
            client.disconnect()

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._accepted = False
        self._over.set()
        if self._refused:
            return
        if alert := alert_of(self._context):
            said = f"the broker at {self._broker.safe_url} does not take this node's certificate: {alert}"
        else:
            said = f"lost the connection to the broker at {self._broker.safe_url}: {str(code).lower()}"
        self._post(self._listener.on_lost, said, bool(alert))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._post(self._listener.on_message, message.topic, message.payload)

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        """The one place where paho's thread meets the event loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(callback, *arguments)


def _client(broker: Broker, opening: Opening, gate: Gate) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=opening.client_id,
        protocol=MQTTProtocolVersion.MQTTv311,
        clean_session=True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.on_socket_open = _send_at_once
    client.max_inflight_messages_set(MAX_IN_FLIGHT)
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password)
    will = opening.will
    if will is not None and gate.may_leave(will.topic, will.payload):
        client.will_set(will.topic, will.payload, will.qos, will.retain)
    return client


def _file_context(broker: Broker) -> ssl.SSLContext:
    """The context of a broker that the node's configuration names: its host is checked as usual."""
    context = ssl.create_default_context(cafile=broker.ca_file)
    if broker.cert_file is not None:
        context.load_cert_chain(broker.cert_file, broker.key_file)
    return context


def _send_at_once(_client: Client, _data: Any, transport: Any) -> None:
    """A small message does not wait for TCP's acknowledgement of the one before (Nagle's algorithm: up to 40 ms)."""
    if isinstance(transport, socket.socket):
        transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _cut(client: Client) -> None:
    """End a connection whose other side takes nothing any more."""
    transport = client.socket()
    if isinstance(transport, socket.socket):
        with contextlib.suppress(OSError):  # already gone
            transport.shutdown(socket.SHUT_RDWR)
