"""Connections that say nothing, or one byte now and then, end; on real sockets, with short patience."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from coordinator.link.embedded import connection
from coordinator.link.embedded.broker import EmbeddedBroker

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x01\x00\x01c"
"""client id c, keep-alive one second"""
WAIT_S = 20.0


@pytest.fixture
async def broker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedBroker]:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.2)
    running = EmbeddedBroker(0)
    await running.start()
    yield running
    await running.stop()


async def reader_after(broker: EmbeddedBroker, data: bytes, drip: bytes = b"") -> bytes:
    """All that the broker sends until it ends a connection on which `data` and then, byte by byte, `drip` comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(broker.url.rpartition(":")[2]))
    writer.write(data)
    received = asyncio.create_task(reader.read())
    for byte in drip:
        await asyncio.wait([received], timeout=0.05)
        if received.done():
            break
        writer.write(bytes((byte,)))
    try:
        return await asyncio.wait_for(received, WAIT_S)
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def test_a_connection_without_connect_ends(broker: EmbeddedBroker) -> None:
    assert await reader_after(broker, b"") == b""


async def test_a_connect_that_drips_in_ends(broker: EmbeddedBroker) -> None:
    assert await reader_after(broker, b"\x10\x7f", bytes(1000)) == b""


async def test_a_connected_client_that_falls_silent_ends(broker: EmbeddedBroker) -> None:
    assert await reader_after(broker, CONNECT) in {b"\x20\x02\x00\x00", b""}


async def test_mqtt_5_is_refused_as_the_protocol_says(broker: EmbeddedBroker) -> None:
    assert await reader_after(broker, CONNECT.replace(b"MQTT\x04", b"MQTT\x05")) == b"\x20\x02\x00\x01"


async def test_a_second_connect_ends_the_connection(broker: EmbeddedBroker) -> None:
    assert await reader_after(broker, CONNECT + CONNECT) == b"\x20\x02\x00\x00"


async def test_it_can_be_stopped_with_clients_connected_and_twice(broker: EmbeddedBroker) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(broker.url.rpartition(":")[2]))
    writer.write(CONNECT)
    await broker.stop()
    await broker.stop()
    writer.transport.abort()
