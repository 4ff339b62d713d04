"""The coordinator's own Mosquitto: restarted when it dies, gone when the coordinator is."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.errors import BadInput
from coordinator.link import mosquitto_files
from coordinator.link.access import AccessTable
from coordinator.link.listening import find_program
from coordinator.link.mosquitto import Mosquitto
from coordinator.link.own_broker import BrokerSettings, own_broker
from coordinator.link.tls import TlsFiles
from protos.topics import Topics
from tests.authorities import Authority
from tests.integration.brokers import WAIT_S

pytestmark = pytest.mark.needs("mosquitto")

COORDINATOR = """
import asyncio, sys
from pathlib import Path
from coordinator.link.own_broker import own_broker
from tests.integration.test_link_own_broker import settings

async def main():
    broker = own_broker("mosquitto", settings(Path(sys.argv[1])))
    await broker.start()
    print(broker.url, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def settings(folder: Path) -> BrokerSettings:
    """A broker on a free port, with an authority of its own."""
    server = Authority(folder / "authority").issue("broker", server=True)
    tls = TlsFiles(server.ca, server.certificate, server.key)
    return BrokerSettings(folder / "broker", "127.0.0.1", 0, tls, Topics(), AccessTable())


def managed(program: str, made: BrokerSettings) -> Mosquitto:
    """Mosquitto, or what is given for it."""
    return Mosquitto(program, made.folder, made.host, made.port, made.tls, made.table, made.topics)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def test_auto_takes_mosquitto_where_it_is_installed(tmp_path: Path) -> None:
    broker = own_broker("auto", settings(tmp_path))
    assert broker.kind == "managed"
    await broker.start()
    port = int(broker.url.rpartition(":")[2])
    assert accepts(port)
    await broker.stop()
    assert not accepts(port)


async def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    broker = managed(find_program("mosquitto") or "", settings(tmp_path))
    await broker.start()
    first = broker._process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    async with asyncio.timeout(WAIT_S):
        while broker._process is first:  # noqa: ASYNC110 (another process, no event of ours)
            await asyncio.sleep(0.02)
    port = int(broker.url.rpartition(":")[2])
    async with asyncio.timeout(WAIT_S):
        while not accepts(port):  # noqa: ASYNC110 (another process, no event of ours)
            await asyncio.sleep(0.02)
    await broker.stop()


@pytest.mark.needs("setpriv")
def test_it_ends_with_a_coordinator_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COORDINATOR, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        assert coordinator.stdout is not None
        port = int(coordinator.stdout.readline().rpartition(":")[2])
        assert accepts(port)
        coordinator.kill()
    deadline = time.monotonic() + WAIT_S
    while accepts(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not accepts(port)


async def test_a_terminals_interrupt_does_not_reach_it(tmp_path: Path) -> None:
    broker = managed(find_program("mosquitto") or "", settings(tmp_path))
    await broker.start()
    assert broker._process is not None
    assert os.getsid(broker._process.pid) != os.getsid(0)
    await broker.stop()


async def test_a_program_that_is_no_broker_is_one_line(tmp_path: Path) -> None:
    broker = managed("/bin/false", settings(tmp_path))
    with pytest.raises(BadInput, match=r"^mosquitto ended with code 1: see .*mosquitto\.log$"):
        await broker.start()
    await broker.stop()


async def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broker = managed("mosquitto", replace(settings(tmp_path), folder=tmp_path / "file" / "broker"))
    with pytest.raises(BadInput, match="the broker keeps its files there"):
        await broker.start()
    await broker.stop()


async def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    made = settings(tmp_path)
    made.tls.key.write_text("no key")
    for choice in ("mosquitto", "embedded"):
        broker = own_broker(choice, made)
        with pytest.raises(BadInput, match=r"^the broker's certificate .* cannot be used: "):
            await broker.start()
        await broker.stop()


async def test_mosquitto_without_its_plugin_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto_files, "PLUGIN_FOLDERS", (str(tmp_path),))
    broker = own_broker("mosquitto", settings(tmp_path))
    with pytest.raises(BadInput, match=r"mosquitto_dynamic_security\.so is not installed"):
        await broker.start()
    await broker.stop()


@pytest.mark.parametrize("choice", ["mosquitto", "embedded"])
async def test_a_renewed_certificate_is_shown_to_the_next_client(tmp_path: Path, choice: str) -> None:
    authority = Authority(tmp_path / "authority")
    first, second = authority.issue("broker", server=True), authority.issue("broker", server=True)
    tls = TlsFiles(first.ca, first.certificate, first.key)
    made = BrokerSettings(tmp_path / "broker", "127.0.0.1", 0, tls, Topics(), AccessTable())
    broker = own_broker(choice, made)  # type: ignore[arg-type]
    await broker.start()
    address = ("127.0.0.1", int(broker.url.rpartition(":")[2]))
    before = await asyncio.to_thread(ssl.get_server_certificate, address)
    first.certificate.write_bytes(second.certificate.read_bytes())
    first.key.write_bytes(second.key.read_bytes())
    broker.renew()
    async with asyncio.timeout(WAIT_S):
        while await asyncio.to_thread(ssl.get_server_certificate, address) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await broker.stop()
