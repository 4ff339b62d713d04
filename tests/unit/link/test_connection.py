"""A connection at the moment that its broker accepts it."""

import asyncio
import socket
import threading

import pytest
from paho.mqtt.client import Client

from edge_node.link.connection import Connection, Message, Opening
from protos.broker_url import Broker
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
