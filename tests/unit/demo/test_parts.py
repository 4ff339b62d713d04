"""What the demo says when a part of it fails, and what it tells a person to type."""

import sys
from pathlib import Path

import pytest

from coordinator.cli.demo_children import Children, PartFailed, failed
from coordinator.cli.demo_commands import meanwhile, next_steps, scripts_folder

HERE = Path("/venv/bin")


def test_a_part_that_fails_is_named_and_the_end_of_its_log_follows(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("edge-node cam-1", "this", "-h").process.wait()
        with pytest.raises(PartFailed) as raised:
            children.check()
    first, *log = str(raised.value).splitlines()
    assert first == "edge-node cam-1 ended with exit code 0; the end of its log:"
    assert log[-1] == "    Namespaces are one honking great idea -- let's do more of those!"
    assert len(log) == 8


def test_a_part_whose_log_somebody_removed_is_still_named(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("edge-node cam-1", "this")
        child.process.wait()
        child.log.unlink()
        said = str(failed(children.named("edge-node cam-1"), "does not tell its status"))
    assert said.startswith("edge-node cam-1 does not tell its status; its log cannot be read: No such file")
    assert "\n" not in said


def test_a_command_that_fails_says_its_last_line(tmp_path: Path) -> None:
    with (
        Children(tmp_path) as children,
        pytest.raises(PartFailed, match=r"^x failed with exit code 1: .*No module named"),
    ):
        children.run("x", "there_is_no_such_module")


def test_commands_to_copy_fit_into_a_terminal_of_80_columns() -> None:
    said = meanwhile(
        "127.0.0.1:65535", Path("/tmp/nearfield-demo-12345678/coordinator"), "mqtts://127.0.0.1:65535", None
    )
    assert max(map(len, said.splitlines())) <= 80
    assert "$demo/admin.pem" in said


def test_commands_begin_with_the_path_where_edgectl_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in (meanwhile("127.0.0.1:1", Path("/c"), "mqtts://127.0.0.1:2", HERE), next_steps(Path("/assets"), HERE)):
        assert said.strip().splitlines()[1] == "  export PATH=/venv/bin:$PATH"
    for said in (meanwhile("127.0.0.1:1", Path("/c"), "mqtts://127.0.0.1:2", None), next_steps(Path("/assets"), None)):
        assert "PATH" not in said
    monkeypatch.setenv("PATH", "/nowhere")
    assert scripts_folder() == Path(sys.executable).parent
