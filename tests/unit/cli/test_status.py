"""Which agent `edge-node status` asks."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge_node.cli import main
from edge_node.cli.status import chosen
from edge_node.errors import Unreachable, WrongUsage
from edge_node.supervisor.control import StatusSocket

HOME = Path("/state")
TWO = {HOME / "cam-1": "till-3", HOME / "cam-2": "cam-2"}


def test_an_agent_is_found_by_todays_name_and_by_the_one_that_its_folder_was_made_for() -> None:
    assert chosen(TWO, "till-3") == chosen(TWO, "cam-1") == HOME / "cam-1"
    assert chosen(TWO, "cam-2") == HOME / "cam-2"
    assert chosen({HOME / "cam-1": "cam-2", HOME / "cam-2": "x"}, "cam-2") == HOME / "cam-1"


def test_the_only_agent_needs_no_name() -> None:
    assert chosen({HOME / "cam-1": "till-3"}, None) == HOME / "cam-1"
    with pytest.raises(WrongUsage, match=r"which node\?.* there are till-3 \(on /state/cam-1\), cam-2"):
        chosen(TWO, None)


def test_an_agent_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(Unreachable, match=r"'x' runs in the usual place \(there: till-3 \(on /state/cam-1\), cam-2\)"):
        chosen(TWO, "x")
    with pytest.raises(Unreachable, match=r"no agent runs in the usual place \(there: none\)"):
        chosen({}, None)


async def test_a_socket_that_nobody_answers_on_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("cam-1", "killed"):
        (tmp_path / "nearfield" / name).mkdir(parents=True)
    (tmp_path / "nearfield" / "killed" / "agent.sock").touch()
    socket = StatusSocket(tmp_path / "nearfield" / "cam-1", lambda: b'{"name":"till-3"}')
    await socket.open()
    assert await asyncio.to_thread(main, ["status", "--name", "till-3", "--json"]) == 0
    await socket.close()
    assert msgspec.json.decode(capsys.readouterr().out) == {"name": "till-3"}
