"""A broker of the coordinator's own with an authority, clients that log in by certificate, and rules that can be off.

The clients are raw paho and raw sockets, so that the suites judge the broker and nothing of ours.
"""

import asyncio
import contextlib
import itertools
import json
import queue
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from coordinator.link import mosquitto
from coordinator.link.access import AccessTable, Grants, grants_of
from coordinator.link.embedded import hub
from coordinator.link.mosquitto_files import rules_json
from coordinator.link.own_broker import BrokerSettings, OwnBroker, own_broker
from coordinator.link.tls import TlsFiles
from protos.topics import Topics
from tests.authorities import Authority, Files

WAIT_S = 20.0
TOPICS = Topics("edge/v1")
ANYONE = (*(f"tester-{number}" for number in range(16)), "tester-same", "tester-mortal", "tester-observer")
"""Who may do everything where the rules are off, and observes where they are on. No principals: nobody manages them."""


class Peer:
    """A plain client with everything it received in a queue."""

    def __init__(self, port: int, files: Files | None, client_id: str = "", *, ca: Path | None = None) -> None:
        self.port = port
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, reconnect_on_failure=False)
        self.client.max_inflight_messages_set(1000)
        self.client.tls_set_context(context(files, ca))
        self.received: queue.Queue[MQTTMessage] = queue.Queue()
        self.granted: queue.Queue[list[int]] = queue.Queue()
        self.up, self.down = threading.Event(), threading.Event()
        self.code = -1
        self.client.on_socket_open = _send_at_once
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.down.set()
        self.client.on_subscribe = lambda _c, _d, _m, codes, _p: self.granted.put([code.value for code in codes])
        self.client.on_message = lambda _client, _data, message: self.received.put(message)

    def _on_connect(self, *arguments: object) -> None:
        self.code = getattr(arguments[3], "value", -1)
        self.up.set()

    def connect(self) -> "Peer":
        """Raises OSError where TLS fails."""
        self.client.connect("127.0.0.1", self.port, keepalive=30)
        self.client.loop_start()
        assert self.up.wait(WAIT_S)
        return self

    def subscribe(self, topic_filter: str, qos: int = 1) -> "Peer":
        assert self.asks_for(topic_filter, qos)
        return self

    def asks_for(self, topic_filter: str, qos: int = 1) -> bool:
        """Subscribe; whether the broker granted it."""
        self.client.subscribe(topic_filter, qos)
        return self.granted.get(timeout=WAIT_S)[0] < 0x80

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def next(self) -> MQTTMessage:
        return self.received.get(timeout=WAIT_S)

    def payloads(self) -> list[bytes | bytearray]:
        """What has come so far."""
        found: list[bytes | bytearray] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self.received.get_nowait().payload)
        return found

    def drop(self) -> None:
        """Vanish without a DISCONNECT."""
        transport = self.client.socket()
        assert isinstance(transport, socket.socket)
        transport.shutdown(socket.SHUT_RDWR)
        assert self.down.wait(WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def _send_at_once(_client: Client, _data: object, transport: object) -> None:
    """No waiting for TCP's acknowledgement before the next small message."""
    assert isinstance(transport, socket.socket)
    transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def context(files: Files | None, ca: Path | None = None) -> ssl.SSLContext:
    """A client's TLS; without files it shows no certificate."""
    made = ssl.create_default_context(cafile=str(ca or (files and files.ca)))
    if files is not None:
        made.load_cert_chain(files.certificate, files.key)
    return made


class World:
    """A running broker, its authority, and clients of it that are closed at the end."""

    def __init__(
        self, broker: OwnBroker, settings: BrokerSettings, authority: Authority, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.broker = broker
        self.settings = settings
        self.authority = authority
        self.loop = loop
        self.peers: list[Peer] = []
        self._files: dict[str, Files] = {}
        self._numbers = itertools.count()

    @property
    def port(self) -> int:
        return int(self.broker.url.rpartition(":")[2])

    def run(self, work: Awaitable[object]) -> object:
        async def awaited() -> object:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(WAIT_S)

    def files(self, principal: str) -> Files:
        """One certificate for each principal."""
        if principal not in self._files:
            self._files[principal] = self.authority.issue(principal)
        return self._files[principal]

    def unconnected(self, principal: str, client_id: str = "") -> Peer:
        self.peers.append(Peer(self.port, self.files(principal), client_id))
        return self.peers[-1]

    def peer(self, principal: str | None = None, client_id: str = "") -> Peer:
        """A connected client; without a principal another one each time."""
        return self.unconnected(principal or ANYONE[next(self._numbers)], client_id).connect()

    def socket(self, principal: str | None = None) -> ssl.SSLSocket:
        """A connection that has shaken hands and said nothing yet."""
        files = self.files(principal or ANYONE[next(self._numbers)])
        raw = socket.create_connection(("127.0.0.1", self.port))
        return context(files).wrap_socket(raw, server_hostname="127.0.0.1")


@contextlib.contextmanager
def running_world(kind: str, folder: Path, table: AccessTable) -> Iterator[World]:
    """A broker on a free port, on an event loop in a thread of its own."""
    authority = Authority(folder / "authority")
    server = authority.issue("broker", server=True)
    files = TlsFiles(server.ca, server.certificate, server.key)
    settings = BrokerSettings(folder / "broker", "127.0.0.1", 0, files, TOPICS, table)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    broker = own_broker("mosquitto" if kind == "mosquitto" else "embedded", settings)
    made = World(broker, settings, authority, loop)
    made.run(made.broker.start())
    try:
        yield made
    finally:
        for peer in made.peers:
            peer.close()
        made.run(made.broker.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


EVERYTHING = Grants(publish=("#",), read=("#",))
KINDS = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")
PATTERNS = ("publishClientSend", "publishClientReceive", "subscribePattern")


def rules_off(patch: pytest.MonkeyPatch, *others: str) -> None:
    """From now on a new broker lets `ANYONE` and others do everything: for all but the rules, and as a control arm."""
    clients = [{"username": name, "roles": []} for name in dict.fromkeys((*ANYONE, *others))]
    rules = {"defaultACLAccess": dict.fromkeys(KINDS, True), "clients": clients, "groups": [], "roles": []}
    patch.setattr(hub, "grants_of", lambda *_: EVERYTHING)
    patch.setattr(mosquitto, "rules_json", lambda *_: json.dumps(rules))


def with_observer(patch: pytest.MonkeyPatch) -> None:
    """From now on a new broker has its rules, and lets `ANYONE` do everything."""

    def grants(principal: str, table: AccessTable, topics: Topics) -> Grants | None:
        return EVERYTHING if principal in ANYONE else grants_of(principal, table, topics)

    def rules(table: AccessTable, topics: Topics) -> str:
        document = json.loads(rules_json(table, topics))
        filters = ("#", "$SYS/#", "$CONTROL/#")
        acls = [{"acltype": kind, "topic": one, "allow": True} for kind in PATTERNS for one in filters]
        document["roles"].append({"rolename": "everything", "acls": acls})
        document["clients"] += [{"username": name, "roles": [{"rolename": "everything"}]} for name in ANYONE]
        return json.dumps(document)

    patch.setattr(hub, "grants_of", grants)
    patch.setattr(mosquitto, "rules_json", rules)


def until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true in time."""
    waited = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if condition():
            return True
        waited.wait(0.02)
    return condition()
