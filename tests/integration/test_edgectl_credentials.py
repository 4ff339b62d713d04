"""`edgectl` and its credential: every way in which it does not fit is one line that says what to do."""

import asyncio
import csv
import json
import socket
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.app import Coordinator
from coordinator.authority.certificates import CLIENT, Authority
from coordinator.authority.credential import Credential
from coordinator.authority.files import read_authority
from coordinator.authority.keys import key_pem, new_key
from coordinator.cli import main
from coordinator.cli.secret_file import write_secret
from coordinator.cli.tokens import state_text
from protos.join_token import parse_join_token
from tests.coordinators import edgectl, initialised, running_coordinator


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[Coordinator]:
    """A coordinator with a broker in process."""
    async with running_coordinator(tmp_path / "coordinator", own_broker="embedded") as coordinator:
        yield coordinator


async def complaint(coordinator: Coordinator, credential: Path, code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of `edgectl status` with a credential."""
    command = ["--coordinator", coordinator.address, "--credentials", str(credential), "status"]
    assert await asyncio.to_thread(main, command) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def credential(authority: Authority, file: Path, ends: timedelta, trusted: bytes = b"") -> Path:
    """A credential's file."""
    key, now = new_key(), datetime.now(UTC)
    issued = authority.issue(key.public_key(), "viewer:eve", CLIENT, timedelta(days=1), now + ends - timedelta(days=1))
    write_secret(file, Credential(issued.pem, key_pem(key), trusted or authority.pem).pem)
    return file


async def test_a_credential_of_another_coordinator_is_told_from_a_coordinator_that_is_not_there(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = initialised(tmp_path / "other")
    said = await complaint(coordinator, other.admin, 4, capsys)
    assert f"is not the coordinator of {other.admin}" in said


async def test_a_certificate_that_the_coordinator_does_not_know_is_told(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger, known = read_authority(initialised(tmp_path / "other")), read_authority(coordinator.folder)
    file = credential(stranger, tmp_path / "eve.pem", timedelta(days=1), known.pem)
    assert "refuses the certificate of viewer:eve" in await complaint(coordinator, file, 4, capsys)


async def test_a_credential_that_ended_says_when_and_who_makes_another(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = credential(read_authority(coordinator.folder), tmp_path / "old.pem", timedelta(hours=-1))
    said = await complaint(coordinator, file, 4, capsys)
    assert f"the credential of viewer:eve in {file} ended at 20" in said
    assert "edgectl credential create" in said


def test_what_speaks_no_tls_is_no_coordinator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = initialised(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        code = main(["--coordinator", address, "--credentials", str(folder.admin), "status"])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (3, 1)
    assert f"what answers at {address} is not a coordinator" in said


async def test_a_credential_is_made_here_for_its_owner_alone_and_never_in_place_of_a_file(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dash.pem"
    create = ("credential", "create", "dash", "--role", "viewer", "-o", str(file))
    assert await edgectl(coordinator, *create) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert await edgectl(coordinator, *create) == 4
    assert file.read_bytes() == content
    assert "is there already" in capsys.readouterr().err
    said = ["--coordinator", coordinator.address, "--credentials", str(file)]
    assert await asyncio.to_thread(main, [*said, "node", "list"]) == 0
    assert await asyncio.to_thread(main, [*said, "credential", "list"]) == 4
    assert "viewer:dash may not call ListCredentials, it needs the role admin" in capsys.readouterr().err
    file.chmod(0o644)
    assert f"may be read by others: chmod 600 {file}" in await complaint(coordinator, file, 4, capsys)


async def test_the_first_administrator_is_listed_like_the_others(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await edgectl(coordinator, "credential", "list", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["principal"], entry["revoked_at"]) == ("admin:tester", None)


async def test_the_line_for_a_device_is_alone_on_standard_output(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await edgectl(coordinator, "node", "token", "create", "--site", "store-12") == 0
    printed = capsys.readouterr()
    command, verb, token = printed.out.split()
    assert (command, verb) == ("edge-node", "enroll")
    assert parse_join_token(token).addresses == (coordinator.enrollment_address,)
    assert token not in printed.err
    assert await edgectl(coordinator, "node", "token", "list", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["site"], listed["created_by"], listed["node"]) == ("store-12", "admin:tester", None)
    assert token not in json.dumps(listed)


def test_a_token_that_has_ended_is_listed_as_that() -> None:
    now = datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert state_text("", "2026-05-01T10:00:00.001Z", now) == "until 2026-05-01T10:00:00.001Z"
    assert state_text("", "2026-05-01T10:00:00.000Z", now) == "expired 2026-05-01T10:00:00.000Z"
    assert state_text("0123456789abcdef", "2026-05-01T09:00:00.000Z", now) == "used by 0123456789ab…"


@pytest.mark.parametrize("suffix", ["csv", "json"])
async def test_many_tokens_are_a_file_for_provisioning(suffix: str, coordinator: Coordinator, tmp_path: Path) -> None:
    file = tmp_path / f"tokens.{suffix}"
    create = ("node", "token", "create", "--site", "s1", "--count", "30", "--ttl", "3d", "-o", str(file))
    assert await edgectl(coordinator, *create) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
    assert len({parse_join_token(row["token"]).secret for row in rows}) == 30
    assert {row["site"] for row in rows} == {"s1"}


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (("--site", "Store 12"), 1, "site 'Store 12' is not a name"),
        (("--site", "s", "--name", "Cam"), 1, "name 'Cam' is not a name"),
        (("--site", "s", "--label", "x"), 2, "--label 'x': write KEY=VALUE"),
        (("--site", "s", "--label", "site=x"), 1, "a label cannot be called 'site'"),
        (("--site", "s", "--ttl", "soon"), 2, "--ttl 'soon': write a number and s, m, h or d"),
        (("--site", "s", "--ttl", "31d"), 1, "at most 30 days, and more than nothing"),
        (("--site", "s", "--count", "2"), 2, "2 tokens need a file"),
        (("--site", "s", "--count", "2", "-o", "t.txt"), 2, "ends in .csv or .json"),
        (("--site", "s", "--count", "2", "--name", "a", "-o", "/nowhere/t.csv"), 1, "2 join tokens for one name"),
        ((), 2, "Missing option '--site'"),
    ],
)
async def test_a_token_that_cannot_be_is_one_line(
    options: tuple[str, ...],
    code: int,
    complaint: str,
    coordinator: Coordinator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await edgectl(coordinator, "node", "token", "create", *options) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert complaint in said
