"""Connections that say nothing, or one byte now and then, end; on real sockets, with short patience."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.link.access import AccessTable
from coordinator.link.embedded import connection
from coordinator.link.embedded.broker import EmbeddedBroker
from coordinator.link.tls import TlsFiles
from protos.topics import Topics
from tests.authorities import Authority

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x01\x00\x01c"
"""client id c, keep-alive one second"""
WAIT_S = 20.0


@pytest.fixture
async def broker(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedBroker]:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.2)
    server = authority.issue("broker", server=True)
    files = TlsFiles(server.ca, server.certificate, server.key)
    running = EmbeddedBroker("127.0.0.1", 0, files, AccessTable(), Topics())
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def login(authority: Authority) -> ssl.SSLContext:
    """A client's TLS: that of the coordinator, who is always let in."""
    files = authority.issue("coordinator")
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.certificate, files.key)
    return context


async def opened(broker: EmbeddedBroker, login: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(broker.url.rpartition(":")[2]), ssl=login)


async def reader_after(broker: EmbeddedBroker, login: ssl.SSLContext, data: bytes, drip: bytes = b"") -> bytes:
    """All that the broker sends until it ends a connection on which `data` and then, byte by byte, `drip` comes."""
    reader, writer = await opened(broker, login)
    writer.write(data)
    received = asyncio.create_task(reader.read())
    for byte in drip:
        await asyncio.wait([received], timeout=0.05)
        if received.done():
            break
        writer.write(bytes((byte,)))
    try:
        return await asyncio.wait_for(received, WAIT_S)
    except (ConnectionResetError, ssl.SSLError):
        return b""
    finally:
        writer.transport.abort()


async def test_a_connection_without_connect_ends(broker: EmbeddedBroker, login: ssl.SSLContext) -> None:
    assert await reader_after(broker, login, b"") == b""


async def test_a_connect_that_drips_in_ends(broker: EmbeddedBroker, login: ssl.SSLContext) -> None:
    assert await reader_after(broker, login, b"\x10\x7f", bytes(1000)) == b""


async def test_a_connected_client_that_falls_silent_ends(broker: EmbeddedBroker, login: ssl.SSLContext) -> None:
    assert await reader_after(broker, login, CONNECT) in {b"\x20\x02\x00\x00", b""}


async def test_mqtt_5_is_refused_as_the_protocol_says(broker: EmbeddedBroker, login: ssl.SSLContext) -> None:
    assert await reader_after(broker, login, CONNECT.replace(b"MQTT\x04", b"MQTT\x05")) == b"\x20\x02\x00\x01"


async def test_a_second_connect_ends_the_connection(broker: EmbeddedBroker, login: ssl.SSLContext) -> None:
    assert await reader_after(broker, login, CONNECT + CONNECT) == b"\x20\x02\x00\x00"


async def test_it_stops_with_clients_connected_and_twice(broker: EmbeddedBroker, login: ssl.SSLContext) -> None:
    _, writer = await opened(broker, login)
    writer.write(CONNECT)
    await broker.stop()
    await broker.stop()
    writer.transport.abort()
