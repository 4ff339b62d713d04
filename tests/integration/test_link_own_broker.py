"""The coordinator's own Mosquitto: restarted when it dies, gone when the coordinator is."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coordinator.errors import BadInput
from coordinator.link.listening import find_program
from coordinator.link.mosquitto import Mosquitto
from coordinator.link.own_broker import own_broker
from tests.integration.brokers import WAIT_S

pytestmark = pytest.mark.needs("mosquitto")

COORDINATOR = """
import asyncio, sys
from pathlib import Path
from coordinator.link.own_broker import own_broker

async def main():
    broker = own_broker("mosquitto", Path(sys.argv[1]), 0)
    await broker.start()
    print(broker.url, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def test_auto_takes_mosquitto_where_it_is_installed(tmp_path: Path) -> None:
    broker = own_broker("auto", tmp_path, 0)
    assert broker.kind == "managed"
    await broker.start()
    port = int(broker.url.rpartition(":")[2])
    assert accepts(port)
    await broker.stop()
    assert not accepts(port)


async def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    broker = Mosquitto(find_program("mosquitto") or "", tmp_path, 0)
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
    broker = Mosquitto(find_program("mosquitto") or "", tmp_path, 0)
    await broker.start()
    assert broker._process is not None
    assert os.getsid(broker._process.pid) != os.getsid(0)
    await broker.stop()


async def test_a_program_that_is_no_broker_is_one_line(tmp_path: Path) -> None:
    broker = Mosquitto("/bin/false", tmp_path, 0)
    with pytest.raises(BadInput, match=r"^mosquitto ended with code 1: see .*mosquitto\.log$"):
        await broker.start()
    await broker.stop()


async def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broker = Mosquitto("mosquitto", tmp_path / "file" / "broker", 0)
    with pytest.raises(BadInput, match="the broker keeps its files there"):
        await broker.start()
    await broker.stop()
