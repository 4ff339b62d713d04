"""An identity comes as a whole, or not at all."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.link.enrollment import Certified
from edge_node.membership.enrolling import PENDING, other_node, take_up
from edge_node.membership.identity import (
    AUTHORITIES,
    CERTIFICATE,
    IDENTITY,
    KEY,
    Identity,
    certificate_text,
    certificate_times,
)
from protos.identity import NodeId

OLD, NEW = NodeId("a" * 32), NodeId("b" * 32)
FILES = (KEY, CERTIFICATE, AUTHORITIES, IDENTITY)


def identity(node: NodeId, former: tuple[NodeId, ...] = ()) -> bytes:
    made = Identity(node, "c:1", "mqtts://b:1", "edge/v1", (bytes(32),), "cam", "store", former=former)
    return msgspec.json.encode(made)


def lay(folder: Path, node: NodeId, former: tuple[NodeId, ...] = ()) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes(identity(node, former) if name == IDENTITY else f"{name} {node}".encode())


def held(folder: Path) -> set[str]:
    """Whose files lie in a folder."""
    return {OLD if OLD.encode() in (folder / name).read_bytes() else NEW for name in FILES}


def test_an_enrollment_that_is_not_complete_changes_nothing(tmp_path: Path) -> None:
    lay(tmp_path, OLD)
    lay(tmp_path / PENDING, NEW)
    (tmp_path / PENDING / IDENTITY).unlink()
    assert not take_up(tmp_path)
    assert held(tmp_path) == {OLD}


@pytest.mark.parametrize("moved", range(4))
def test_a_move_that_was_cut_off_anywhere_is_finished(tmp_path: Path, moved: int) -> None:
    lay(tmp_path, OLD)
    lay(tmp_path / PENDING, NEW, (OLD,))
    for name in FILES[:moved]:
        (tmp_path / PENDING / name).replace(tmp_path / name)
    assert take_up(tmp_path)
    assert msgspec.json.decode((tmp_path / IDENTITY).read_bytes(), type=Identity).node == NEW
    assert {(tmp_path / name).read_bytes() for name in FILES[:3]} == {f"{name} {NEW}".encode() for name in FILES[:3]}
    assert not (tmp_path / PENDING).exists()
    assert not take_up(tmp_path)


def test_a_successor_keeps_what_waits_and_is_taken_up_by_a_running_agent(tmp_path: Path) -> None:
    lay(tmp_path, OLD)
    (tmp_path / "outbox.db").write_bytes(b"results")
    lay(tmp_path / PENDING, NEW, (OLD,))
    assert other_node(tmp_path) is None
    assert take_up(tmp_path, running=True)
    assert (tmp_path / "outbox.db").exists()


def test_another_node_sets_aside_what_waits_and_needs_a_start(tmp_path: Path) -> None:
    lay(tmp_path, OLD)
    (tmp_path / "outbox.db").write_bytes(b"results")
    lay(tmp_path / PENDING, NEW)
    assert other_node(tmp_path) == OLD
    assert not take_up(tmp_path, running=True)
    assert take_up(tmp_path)
    assert not (tmp_path / "outbox.db").exists()
    assert (tmp_path / f"outbox-{OLD}.db").read_bytes() == b"results"


@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_the_times_of_a_certificate_are_read_from_the_line_before_it(begins: int, ends: int) -> None:
    text = certificate_text(Certified(b"-----BEGIN CERTIFICATE-----\n", (), float(begins), float(ends)))
    assert certificate_times(text) == (begins, ends)


@pytest.mark.parametrize("text", [b"", b"\xff", b"valid from yesterday to tomorrow\n"])
def test_a_certificate_whose_times_cannot_be_read_is_due_at_once(text: bytes) -> None:
    assert certificate_times(text) == (0.0, 0.0)
