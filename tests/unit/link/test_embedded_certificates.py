"""A connection to the embedded broker ends with the certificate that it was opened with."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.authority.certificates import BOTH, authority_certificate, open_authority
from coordinator.authority.keys import key_pem, new_key
from coordinator.link.access import AccessTable
from coordinator.link.embedded.broker import EmbeddedBroker
from coordinator.link.tls import TlsFiles
from protos.topics import Topics

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01"
"""without the client id, one byte"""
CONNACK = b"\x20\x02\x00\x00"
LIFE = timedelta(seconds=2)
WAIT_S = 20.0


class Issuer:
    """An authority and what it issues, in files."""

    def __init__(self, folder: Path) -> None:
        key, now = new_key(), datetime.now(UTC)
        self._folder = folder
        self._authority = open_authority(key, authority_certificate(key, now), "the test's authority")
        (folder / "ca.pem").write_bytes(self._authority.pem)

    def issue(self, name: str, life: timedelta) -> TlsFiles:
        """A certificate of the coordinator, which every broker lets in."""
        key, certificate = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        made = new_key()
        names = ("127.0.0.1",)
        issued = self._authority.issue(made.public_key(), "coordinator", BOTH, life, datetime.now(UTC), names)
        key.write_bytes(key_pem(made))
        certificate.write_bytes(issued.pem)
        return TlsFiles(self._folder / "ca.pem", certificate, key)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
async def broker(issuer: Issuer) -> AsyncIterator[EmbeddedBroker]:
    running = EmbeddedBroker("127.0.0.1", 0, issuer.issue("server", timedelta(days=1)), AccessTable(), Topics())
    await running.start()
    yield running
    await running.stop()


async def connected(
    broker: EmbeddedBroker, files: TlsFiles, client_id: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.certificate, files.key)
    port = int(broker.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(CONNECT + client_id)
    assert await reader.readexactly(4) == CONNACK
    return reader, writer


async def is_ended(reader: asyncio.StreamReader, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def test_a_connection_ends_with_its_certificate_and_others_go_on(broker: EmbeddedBroker, issuer: Issuer) -> None:
    long, writer = await connected(broker, issuer.issue("long", timedelta(days=90)), b"l")
    short, other = await connected(broker, issuer.issue("short", LIFE), b"s")
    assert not await is_ended(short, 0.2)
    assert await is_ended(short, WAIT_S)
    assert not await is_ended(long, 0.2)  # the control arm
    for one in (writer, other):
        one.close()
