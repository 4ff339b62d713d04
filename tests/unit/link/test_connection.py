"""A connection at the moment that its broker accepts it."""

import asyncio
import socket
import threading

import pytest
from paho.mqtt.client import Client

from edge_node.link.connection import Connection, Message, Opening
from edge_node.link.gate import Gate
from protos.broker_url import Broker
from protos.topics import Topics
from tests.open_gate import OpenGate

CONNACK = b"\x20\x02\x00\x00"


class Listener:
    """Publishes as soon as it may."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.taken: bool | None = None
        self.opened = asyncio.Event()

    def on_open(self) -> None:
        assert self.connection is not None
        self.taken = self.connection.publish("edge/v1/hello", b"here", 0, retain=False)
        self.opened.set()

    def on_lost(self, reason: str, refused: bool) -> None:
        """Nothing to do."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """Nothing comes."""


async def test_what_is_published_when_the_broker_has_just_accepted_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given that whoever opens is held up right after paho's thread has begun, what the listener says is taken."""
    let_go = threading.Event()
    begin = Client.loop_start

    def begin_and_be_held_up(client: Client) -> object:
        begun = begin(client)
        let_go.wait(10)
        return begun

    monkeypatch.setattr(Client, "loop_start", begin_and_be_held_up)
    server = await asyncio.start_server(_accept, "127.0.0.1", 0, family=socket.AF_INET)
    broker = Broker("127.0.0.1", server.sockets[0].getsockname()[1])
    listener = Listener()
    gone = Message("gone", b"", 0, retain=False)
    opening = Opening("c", "node", will=gone)
    listener.connection = Connection(broker, opening, listener, asyncio.get_running_loop(), OpenGate())
    dialling = asyncio.create_task(asyncio.to_thread(listener.connection.open))
    async with asyncio.timeout(10):
        await listener.opened.wait()
    let_go.set()
    await dialling
    assert listener.taken
    await asyncio.to_thread(listener.connection.close)
    server.close()


async def _accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(CONNACK)
    while await reader.read(100):
        pass
    writer.close()


class Silent(Listener):
    """Publishes nothing by itself."""

    def on_open(self) -> None:
        self.opened.set()


@pytest.mark.parametrize("gate", [Gate(Topics()), OpenGate()], ids=["gate", "control arm: no gate"])
async def test_neither_will_nor_greeting_nor_farewell_go_round_the_gate(gate: Gate) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK)
        while part := await reader.read(65536):
            heard.extend(part)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, family=socket.AF_INET)
    picture = Message("edge/v1/live/s/n/p", b"\xff\xd8\xff\xe0" + bytes(200), 0, retain=False)
    opening = Opening("c", "node", will=picture, greeting=(picture,), farewell=(picture,))
    listener = Silent()
    broker = Broker("127.0.0.1", server.sockets[0].getsockname()[1])
    connection = listener.connection = Connection(broker, opening, listener, asyncio.get_running_loop(), gate)
    await asyncio.to_thread(connection.open)
    async with asyncio.timeout(10):
        await listener.opened.wait()
    assert connection.publish(*_parts(picture)) is isinstance(gate, OpenGate)
    await asyncio.to_thread(connection.close)
    server.close()
    assert heard.count(b"\xff\xd8\xff") == (4 if isinstance(gate, OpenGate) else 0)


def _parts(message: Message) -> tuple[str, bytes, int, bool]:
    return message.topic, message.payload, message.qos, message.retain
