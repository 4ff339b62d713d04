"""`edgectl broker config`: the folder that it writes runs a real Mosquitto, and the coordinator just works with it."""

import asyncio
import contextlib
import json
import os
import pwd
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from coordinator.app import Coordinator
from coordinator.authority.credential import Credential
from coordinator.link.access import AccessTable
from coordinator.link.access_control import AccessControl
from coordinator.link.broker import BrokerClient
from coordinator.link.listening import find_program
from protos.broker_url import parse_broker_url
from protos.topics import Topics
from tests.authorities import Files
from tests.conformance.broker_world import Peer
from tests.coordinators import credential_for, edgectl, enrolled, running_coordinator
from tests.integration.brokers import free_port, mosquitto
from tests.waiting import comes_true

pytestmark = pytest.mark.needs("mosquitto")


@contextlib.contextmanager
def mosquitto_of(folder: Path, port: int) -> Iterator[None]:
    """Mosquitto with the folder's configuration, as the README says."""
    if os.geteuid() == 0:  # it would change to a user who may not read a test's files
        with (folder / "mosquitto.conf").open("a") as file:
            file.write(f"user {pwd.getpwuid(0).pw_name}\n")
    with subprocess.Popen([find_program("mosquitto") or "", "-c", folder / "mosquitto.conf"]) as process:
        try:
            while process.poll() is None and not accepts(port):
                pass
            yield
        finally:
            process.terminate()


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
async def production(tmp_path: Path) -> AsyncIterator[Coordinator]:
    """A coordinator whose broker is a Mosquitto that runs from such a folder."""
    port, folder = free_port(), tmp_path / "mosquitto"
    async with running_coordinator(tmp_path / "coord", own_broker="embedded") as coordinator:
        options = ["--for", "mosquitto", "--host", "127.0.0.1", "--port", str(port), "-o", str(folder)]
        assert await edgectl(coordinator, "broker", "config", *options) == 0
    with mosquitto_of(folder, port):
        async with running_coordinator(tmp_path / "coord", broker=f"mqtts://127.0.0.1:{port}") as coordinator:
            await comes_true(lambda: coordinator.broker_words == "external")
            yield coordinator


def client(coordinator: Coordinator, credential: Credential, folder: Path) -> Peer:
    """A plain client that logs in with a credential."""
    files = Files(folder / "ca", folder / "certificate", folder / "key")
    folder.mkdir(exist_ok=True)
    for file, content in zip(vars(files).values(), vars(credential_parts(credential)).values(), strict=True):
        file.write_bytes(content)
    return Peer(int(coordinator.broker_url.rpartition(":")[2]), files).connect()


def credential_parts(credential: Credential) -> Credential:
    """In the order of `Files`."""
    return Credential(credential.authorities, credential.certificate, credential.key)


async def test_a_node_and_a_viewer_have_what_is_theirs_until_they_are_revoked(
    production: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, viewer = await enrolled(production), await credential_for(production, "viewer", "dashboard")

    def serves(credential: Credential, topic: str) -> bool:
        peer = client(production, credential, tmp_path / "login")
        granted = peer.asks_for(topic)
        peer.close()
        return granted

    desired = f"edge/v1/nodes/{node.id}/desired"
    await comes_true(lambda: serves(node.credential, desired))
    await comes_true(lambda: serves(viewer, "edge/v1/live/#"))
    assert not await asyncio.to_thread(serves, viewer, desired)
    assert not await asyncio.to_thread(serves, node.credential, "edge/v1/#")
    connected = await asyncio.to_thread(client, production, node.credential, tmp_path / "node")
    assert await edgectl(production, "node", "revoke", str(node.id)) == 0
    await comes_true(connected.down.is_set)
    connected.close()
    capsys.readouterr()
    assert await edgectl(production, "node", "list", "--json") == 0
    assert [one["presence"] for one in json.loads(capsys.readouterr().out)] == ["offline"]
    assert not await asyncio.to_thread(serves, node.credential, desired)


async def test_a_broker_without_the_plugin_keeps_its_own_rules_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mosquitto(tmp_path) as running:
        client = BrokerClient(parse_broker_url(f"mqtt://127.0.0.1:{running.port}"))
        control = AccessControl(AccessTable, client, None, Topics(), answer_s=0.2)
        await client.start()
        task = asyncio.create_task(control.run())
        await comes_true(lambda: "its access rules are its own" in caplog.text)
        await control.settle()
        task.cancel()
        await asyncio.wait([task])
        await client.stop()
    assert caplog.text.count("its access rules are its own") == 1


async def test_its_key_is_for_its_owner_alone_and_its_certificate_has_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "mosquitto"
    async with running_coordinator(tmp_path / "coord", own_broker="embedded") as coordinator:
        options = [
            "--host",
            "broker.example",
            "--host",
            "10.0.0.7",
            "--at",
            "/etc/mosquitto/nearfield",
            "-o",
            str(folder),
        ]
        assert await edgectl(coordinator, "broker", "config", *options) == 0
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    shown = ssl._ssl._test_decode_cert(str(folder / "server.pem"))  # type: ignore[attr-defined]
    names = {name for _, name in shown["subjectAltName"]}
    assert names == {"broker.example", "10.0.0.7", "broker.nearfield"}  # not the coordinator's name
    configuration = (folder / "mosquitto.conf").read_text()
    assert "certfile /etc/mosquitto/nearfield/server.pem" in configuration
    assert "mqtts://broker.example:8883" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--for", "emqx", "--host", "h", "-o", "new"], "files are written for mosquitto only"),
        (["--host", "h", "-o", "full"], "full is not empty: give a new folder with -o"),
        (["--host", "not a name", "-o", "new"], "not a name"),
    ],
)
async def test_what_cannot_be_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    async with running_coordinator(tmp_path / "coord", own_broker="embedded") as coordinator:
        assert await edgectl(coordinator, "broker", "config", *options) != 0
    said = capsys.readouterr().err
    assert complaint in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "new").exists()
