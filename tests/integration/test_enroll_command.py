"""`edge-node enroll` as a person runs it, against a service that may be a stranger's."""

import asyncio
import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from cryptography.x509 import load_pem_x509_csr

from edge_node.cli import main
from edge_node.membership.identity import AUTHORITIES, CERTIFICATE, IDENTITY, KEY, Identity, IdentityFile
from protos.join_token import JoinToken
from tests.authorities import Authority
from tests.integration.enrolling import NODE, SECRET, Enrolling, enrollment


@pytest.fixture
def service(tmp_path: Path) -> Enrolling:
    return Enrolling(Authority(tmp_path / "ours"))


async def enroll(folder: Path, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["enroll", *arguments, "--state-dir", str(folder)])


def held(folder: Path) -> Identity:
    identity = IdentityFile(folder / IDENTITY).load()
    assert identity is not None
    return identity


async def test_a_token_makes_this_device_a_node(
    service: Enrolling, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "node"
    async with enrollment(service) as token:
        assert await enroll(folder, token.text, "--name", "cam-3", "--label", "zone=door") == 0
    said = capsys.readouterr()
    assert said.out == f"enrolled as cam-3 at store-12 ({NODE}); start it with edge-node run --state-dir {folder}\n"
    assert (held(folder).node, held(folder).enrollment) == (NODE, token.addresses[0])
    assert (service.asked[0].name, dict(service.asked[0].labels)) == ("cam-3", {"zone": "door"})
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (KEY, IDENTITY, CERTIFICATE, AUTHORITIES)}
    assert modes == {KEY: 0o600, IDENTITY: 0o600, CERTIFICATE: 0o644, AUTHORITIES: 0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not (folder / "enrolling").exists()


async def test_a_second_node_of_a_device_is_told_how_to_become_one_and_how_to_start(
    service: Enrolling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with enrollment(service) as token:
        assert await asyncio.to_thread(main, ["enroll", token.text]) == 0
        assert capsys.readouterr().out.endswith("; start it with edge-node run\n")
        assert await asyncio.to_thread(main, ["enroll", token.text]) == 4
        assert "with another --name it becomes one node more" in capsys.readouterr().err
        assert await asyncio.to_thread(main, ["enroll", token.text, "--name", "cam-4"]) == 0
        assert capsys.readouterr().out.endswith("; start it with edge-node run --name cam-4\n")
        file = tmp_path / "node.toml"
        file.write_text(f'state_dir = "{tmp_path / "elsewhere"}"\n')
        assert await asyncio.to_thread(main, ["enroll", token.text, "--config", str(file)]) == 0
        assert capsys.readouterr().out.endswith(f"; start it with edge-node run --config {file}\n")


def test_what_an_agent_keeps_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    before = os.umask(0o022)  # as systems have it
    try:
        command = [sys.executable, "-m", "edge_node", "run", "--state-dir", str(folder), "--coordinator", "127.0.0.1:1"]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0  # not enrolled
    finally:
        os.umask(before)
    made = {path.name: path.stat().st_mode & 0o077 for path in (folder, folder / "outbox.db", folder / "store")}
    assert made == {"node": 0, "outbox.db": 0, "store": 0}


async def test_a_token_is_read_from_standard_input_and_from_a_file(
    service: Enrolling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with enrollment(service) as token:
        monkeypatch.setattr("sys.stdin", io.StringIO(token.text + "\n"))
        assert await enroll(tmp_path / "a", "-") == 0
        (tmp_path / "token").write_text(token.text + "\n")
        assert await enroll(tmp_path / "b", "--token-file", str(tmp_path / "token")) == 0


async def test_a_device_that_is_enrolled_says_so_and_gets_another_identity_only_when_told(
    service: Enrolling, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "node"
    async with enrollment(service) as token:
        assert await enroll(folder, token.text) == 0
        key = (folder / KEY).read_bytes()
        assert await enroll(folder, token.text) == 4
        assert "is enrolled already" in capsys.readouterr().err
        assert len(service.asked) == 1
        service.changes["node_id"] = "f" * 32
        assert await enroll(folder, token.text, "--again") == 0
    assert held(folder).node == "f" * 32
    assert (folder / KEY).read_bytes() != key


async def test_an_enrollment_that_is_repeated_uses_the_same_key(service: Enrolling, tmp_path: Path) -> None:
    async with enrollment(service) as token:
        service.refusal = (grpc.StatusCode.UNAVAILABLE, "killed in the middle")
        assert await enroll(tmp_path / "node", token.text) == 3
        service.refusal = None
        assert await enroll(tmp_path / "node", token.text) == 0
    first, second = (load_pem_x509_csr(asked.csr).public_key() for asked in service.asked)
    assert first == second


async def test_an_enrollment_anew_that_is_refused_leaves_the_old_identity(service: Enrolling, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    async with enrollment(service) as token:
        assert await enroll(folder, token.text) == 0
        files = {name: (folder / name).read_bytes() for name in (KEY, CERTIFICATE, AUTHORITIES, IDENTITY)}
        service.refusal = (grpc.StatusCode.PERMISSION_DENIED, "the token was used")
        assert await enroll(folder, token.text, "--again") == 4
    assert {name: (folder / name).read_bytes() for name in files} == files


async def test_addresses_are_tried_in_turn_and_strangers_passed_over(
    service: Enrolling, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = Enrolling(Authority(tmp_path / "strangers"))
    async with enrollment(service) as token, enrollment(stranger) as other:
        addresses = ("127.0.0.1:1", *other.addresses, *token.addresses)
        assert await enroll(tmp_path / "node", JoinToken(SECRET, token.ca, addresses).text) == 0
        assert await enroll(tmp_path / "told", token.text, "--coordinator", other.addresses[0]) == 4
    assert "is not the coordinator that the token is for" in capsys.readouterr().err
    assert stranger.asked == []


async def test_nobody_there_is_one_line_without_the_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = JoinToken(SECRET, bytes(32), ("127.0.0.1:1",))
    assert await enroll(tmp_path / "node", token.text, "--coordinator", "127.0.0.1:1") == 3
    said = capsys.readouterr().err
    assert "nobody answers" in said
    assert said.count("\n") == 1
    assert token.text not in said


async def test_a_damaged_token_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = JoinToken(SECRET, bytes(32), ()).text[:-3]
    assert await enroll(tmp_path / "node", text) == 1
    said = capsys.readouterr().err
    assert "the join token is damaged" in said
    assert text not in said


async def test_an_enrollment_that_came_to_nothing_leaves_nothing(service: Enrolling, tmp_path: Path) -> None:
    async with enrollment(service) as token:
        service.refusal = (grpc.StatusCode.PERMISSION_DENIED, "the token was used")
        assert await enroll(tmp_path / "refused", token.text) == 4
        assert await enroll(tmp_path / "nobody", token.text, "--coordinator", "127.0.0.1:1") == 3
        assert [(tmp_path / name).exists() for name in ("refused", "nobody")] == [False, False]
        service.refusal = (grpc.StatusCode.UNAVAILABLE, "killed in the middle")
        assert await enroll(tmp_path / "perhaps", token.text) == 3
        assert (tmp_path / "perhaps" / "enrolling" / KEY).exists(), "its identity may be waiting there"


async def test_the_wrong_port_of_the_coordinator_is_answered_by_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = JoinToken(SECRET, bytes(32), ("10.0.0.5:7071",))
    assert await enroll(tmp_path / "node", token.text, "--coordinator", "127.0.0.1:1") == 3
    assert "; devices enroll at another port: --coordinator 127.0.0.1:7071\n" in capsys.readouterr().err
    assert await enroll(tmp_path / "node", token.text, "--coordinator", "127.0.0.1") == 1
    assert "for example 127.0.0.1:7071" in capsys.readouterr().err
