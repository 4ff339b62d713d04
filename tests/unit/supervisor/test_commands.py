"""Which commands a node carries out, each once, and what it answers (U8)."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.errors import Refused
from edge_node.supervisor.command import MAX_SEEN, accept, remembered
from edge_node.supervisor.commands import MAX_REPLY, Commands, count, flattened, shortened
from protos.command import LIFETIME, LONGEST_LIFETIME, MAX_LINE, MAX_LINES, Command, Verb
from protos.envelope import COMMAND, DESIRED, public_bytes, seal
from protos.identity import NodeId
from tests.unit.protos.signed import ALICE, COORDINATOR, MALLORY, NOW

NODE, OTHER = NodeId("1" * 32), NodeId("2" * 32)
NONCE = "ab" * 16
TRUSTED = frozenset({public_bytes(COORDINATOR)})


def command(**changes: object) -> Command:
    made = Command(NODE, NONCE, NOW, NOW + LIFETIME, Verb.LOGS, {"lines": "2"})
    return msgspec.structs.replace(made, **changes)


def sealed(made: Command) -> bytes:
    return seal(COMMAND, msgspec.json.encode(made), COORDINATOR)


def test_a_fresh_command_of_the_coordinator_is_accepted_once() -> None:
    accepted = accept(sealed(command()), TRUSTED, NODE, {}, NOW)
    assert accepted == command()
    seen = remembered({}, accepted, NOW)
    with pytest.raises(Refused, match="a replay"):
        accept(sealed(command()), TRUSTED, NODE, seen, NOW)


@pytest.mark.parametrize(
    ("envelope", "complaint"),
    [
        (seal(COMMAND, msgspec.json.encode(command()), MALLORY), "not signed by a key"),
        (seal(COMMAND, msgspec.json.encode(command()), ALICE), "not signed by a key"),
        (seal(DESIRED, msgspec.json.encode(command()), COORDINATOR), "where a"),
        (seal(COMMAND, b"{}", COORDINATOR), "not readable"),
        (msgspec.json.encode(command()), "not a signed document"),
        (sealed(command(node=OTHER)), "not for this one"),
        (sealed(command(nonce="1")), "whose nonce is none"),
        (sealed(command(expires=NOW)), "came too late"),
        (sealed(command(expires=NOW + LONGEST_LIFETIME + timedelta(seconds=1))), "too long"),
    ],
    ids=["stranger", "publisher", "type", "empty", "unsigned", "other node", "nonce", "expired", "for ever"],
)
def test_any_other_command_is_refused(envelope: bytes, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        accept(envelope, TRUSTED, NODE, {}, NOW)


def test_what_has_expired_need_not_be_remembered_and_too_many_are_refused() -> None:
    old = {f"{number:032x}": NOW for number in range(MAX_SEEN)}
    assert remembered(old, command(), NOW) == {NONCE: NOW + LIFETIME}
    fresh = dict.fromkeys(old, NOW + LIFETIME)
    with pytest.raises(Refused, match="at a time"):
        accept(sealed(command()), TRUSTED, NODE, fresh, NOW)


@given(st.binary())
def test_no_bytes_break_the_reader(garbage: bytes) -> None:
    for envelope in (garbage, seal(COMMAND, garbage, COORDINATOR)):
        with pytest.raises(Refused):
            accept(envelope, TRUSTED, NODE, {}, NOW)


@pytest.fixture
def commands(tmp_path: Path) -> Callable[[], Commands]:
    def logs(arguments: object) -> list[str]:
        return ["a", "b", "c"][-count(arguments, 3) :]  # type: ignore[arg-type]

    return lambda: Commands(tmp_path / "commands.json", {Verb.LOGS: logs}, lambda: NOW)


def test_a_command_is_carried_out_once_also_across_a_restart(commands: Callable[[], Commands]) -> None:
    reply = commands().answer(sealed(command()), NONCE, NODE, TRUSTED)
    assert (reply.ok, reply.lines, reply.nonce) == (True, ("b", "c"), NONCE)
    with pytest.raises(Refused, match="a replay"):
        commands().answer(sealed(command()), NONCE, NODE, TRUSTED)


def test_without_the_file_a_replay_would_work(commands: Callable[[], Commands], tmp_path: Path) -> None:
    """The control arm."""
    commands().answer(sealed(command()), NONCE, NODE, TRUSTED)
    (tmp_path / "commands.json").unlink()
    assert commands().answer(sealed(command()), NONCE, NODE, TRUSTED).ok


def test_a_command_on_the_topic_of_another_is_refused(commands: Callable[[], Commands]) -> None:
    with pytest.raises(Refused, match="topic of another"):
        commands().answer(sealed(command()), "cd" * 16, NODE, TRUSTED)


def test_a_command_that_cannot_be_done_is_answered_with_the_reason(commands: Callable[[], Commands]) -> None:
    unknown = commands().answer(sealed(command(verb="reboot")), NONCE, NODE, TRUSTED)
    assert (unknown.ok, unknown.lines) == (False, ("this node has no command 'reboot': logs",))
    wrong = commands().answer(sealed(command(nonce="cd" * 16, arguments={"lines": "-1"})), "cd" * 16, NODE, TRUSTED)
    assert not wrong.ok
    assert "a number from 1 to 200" in wrong.lines[0]


def test_a_damaged_file_of_nonces_stops_nobody(commands: Callable[[], Commands], tmp_path: Path) -> None:
    (tmp_path / "commands.json").write_bytes(b"\xff")
    assert commands().answer(sealed(command()), NONCE, NODE, TRUSTED).ok
    assert json.loads((tmp_path / "commands.json").read_bytes()).keys() == {NONCE}


@given(st.lists(st.text(max_size=2 * MAX_LINE)))
def test_a_reply_is_short_printable_lines_and_the_newest_win(lines: list[str]) -> None:
    kept = shortened(lines)
    assert len(kept) <= MAX_LINES
    assert all(len(line) <= MAX_LINE and line.isprintable() for line in kept)
    assert len(msgspec.json.encode(kept)) <= 2 * MAX_REPLY
    if lines and all(len(line) < 50 for line in lines[-3:]):
        assert len(kept) >= min(3, len(lines))


def test_a_document_becomes_lines() -> None:
    document = {"link": {"connected": True, "live": ""}, "plan": [{"step": "fetch"}], "at": None}
    assert list(flattened(document)) == ["link.connected: True", "plan[0].step: fetch"]


def test_the_time_of_a_command_is_judged_by_the_clock_that_is_given() -> None:
    late: datetime = NOW + LIFETIME
    with pytest.raises(Refused, match="came too late"):
        accept(sealed(command()), TRUSTED, NODE, {}, late)
