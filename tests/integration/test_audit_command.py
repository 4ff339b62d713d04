"""`edgectl audit` against a real coordinator: what was done is listed, and what is changed behind its back is found."""

import json
import re
import sqlite3
from pathlib import Path

import pytest

from coordinator.app import Coordinator
from coordinator.errors import Exit
from tests.coordinators import edgectl, running_coordinator


async def some_acts(coordinator: Coordinator) -> None:
    """Four acts, one of them refused."""
    for site in ("store-1", "store-2", "store-3"):
        assert await edgectl(coordinator, "node", "token", "create", "--site", site) == Exit.DONE
    assert await edgectl(coordinator, "node", "revoke", "nobody") != Exit.DONE


def tampered(folder: Path, statement: str) -> None:
    """Change the database as its owner could."""
    with sqlite3.connect(folder / "coordinator.db") as database:
        database.execute(statement)
    database.close()


async def test_what_was_done_is_listed_with_its_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_coordinator(tmp_path) as coordinator:
        await some_acts(coordinator)
        capsys.readouterr()
        assert await edgectl(coordinator, "audit", "list", "--json") == Exit.DONE
        entries = json.loads(capsys.readouterr().out)
        assert await edgectl(coordinator, "audit", "list", "--action", "node") == Exit.DONE
        listed = capsys.readouterr().out
    assert [entry["action"] for entry in entries] == ["token.create"] * 3 + ["node.revoke"]
    assert {entry["actor"] for entry in entries} == {"admin:tester"}
    assert entries[-1]["detail"]["outcome"].startswith("no node 'nobody'")
    assert "token.create" not in listed
    assert "node.revoke" in listed


async def test_where_nothing_is_listed_it_says_of_what_and_an_export_says_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path) as coordinator:
        assert await edgectl(coordinator, "audit", "list") == Exit.DONE
        assert capsys.readouterr().out == "nothing has been done yet\n"
        await some_acts(coordinator)
        capsys.readouterr()
        assert await edgectl(coordinator, "audit", "list", "--action", "model") == Exit.DONE
        assert capsys.readouterr().out == "nothing of this kind has been done yet\n"
        assert await edgectl(coordinator, "audit", "export", "-o", str(tmp_path / "log")) == Exit.DONE
    assert capsys.readouterr().out == f"4 entries written to {tmp_path / 'log'}\n"


async def test_no_secret_is_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_coordinator(tmp_path) as coordinator:
        assert await edgectl(coordinator, "node", "token", "create", "--site", "store-1") == Exit.DONE
        found = re.search(r"nearfield-join-1\.\S+", capsys.readouterr().out)
        assert found is not None
        assert await edgectl(coordinator, "audit", "export", "-o", "-") == Exit.DONE
        exported = capsys.readouterr().out
    assert found[0] not in exported
    assert found[0].removeprefix("nearfield-join-1.")[:20] not in exported


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE audit SET actor = 'admin:mallory' WHERE seq = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE seq > 2", "its end was cut off"),
    ],
)
async def test_what_is_changed_in_the_database_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, complaint: str
) -> None:
    async with running_coordinator(tmp_path) as coordinator:
        await some_acts(coordinator)
        capsys.readouterr()
        assert await edgectl(coordinator, "audit", "verify", "--json") == Exit.DONE
        head = json.loads(capsys.readouterr().out)["head"]
        tampered(tmp_path, statement)
        assert await edgectl(coordinator, "audit", "verify", "--head", head) == Exit.REFUSED
    assert complaint in capsys.readouterr().err


async def test_an_export_is_verified_without_a_coordinator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = tmp_path / "audit.jsonl"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        await some_acts(coordinator)
        assert await edgectl(coordinator, "audit", "export", "-o", str(export)) == Exit.DONE
    assert await edgectl(coordinator, "audit", "verify", "--file", str(export)) == Exit.DONE
    lines = export.read_text(encoding="utf-8").splitlines()
    export.write_text("\n".join([*lines[:1], lines[1].replace("store-2", "store-9"), *lines[2:]]), encoding="utf-8")
    capsys.readouterr()
    assert await edgectl(coordinator, "audit", "verify", "--file", str(export)) == Exit.REFUSED
    assert "entry 2 was changed" in capsys.readouterr().err


async def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("[]\n", encoding="utf-8")
    async with running_coordinator(tmp_path / "coord") as coordinator:
        assert await edgectl(coordinator, "audit", "verify", "--file", str(rubbish)) == Exit.FAILED
        assert await edgectl(coordinator, "audit", "verify", "--head", "42") == Exit.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "line 1 is not an entry" in line]
    assert [line for line in lines if "write SEQ:HASH" in line]
