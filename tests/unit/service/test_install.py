"""`install` and `uninstall` below a root: what they write, leave and refuse; as `edge-node` and `edge-coordinator`."""

import argparse
import functools
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from coordinator.__main__ import main as coordinator_main
from coordinator.service import commands as coordinator_commands
from coordinator.service import unit as coordinator_unit
from edge_node.cli import install as node_commands
from edge_node.cli import main as node_main
from edge_node.config import NodeConfig
from edge_node.service import unit as node_unit
from tests.conftest import ROOT

PROGRAM = ("--program", "/opt/nearfield/bin/program")
STATES = {"edge-node": "var/lib/nearfield", "edge-coordinator": "var/lib/nearfield-coordinator"}
Command = Callable[..., int]


@pytest.fixture(params=[("edge-node", node_main), ("edge-coordinator", coordinator_main)], ids=lambda one: one[0])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param[0])


@pytest.fixture
def command(service: str, tmp_path: Path) -> Command:
    """The service's program, with the root of a system of its own."""
    main = {"edge-node": node_main, "edge-coordinator": coordinator_main}[service]
    return lambda verb, *more: main([verb, "--root", str(tmp_path), *more])


def below(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_install_writes_unit_user_and_folders_once(
    service: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("install", *PROGRAM) == 0
    first = below(tmp_path)
    expected = {
        f"etc/systemd/system/{service}.service",
        f"etc/sysusers.d/{service}.conf",
        f"etc/tmpfiles.d/{service}.conf",
    }
    assert set(first) - {"etc/nearfield/edge-node.toml"} == expected
    assert f"ExecStart={PROGRAM[1]} " in first[f"etc/systemd/system/{service}.service"]
    assert command("install", *PROGRAM) == 0
    assert below(tmp_path) == first
    assert "all files are there already" in capsys.readouterr().out


def test_uninstall_removes_what_install_wrote_and_keeps_state(service: str, command: Command, tmp_path: Path) -> None:
    command("install", *PROGRAM)
    state = tmp_path / STATES[service] / "kept"
    state.parent.mkdir(parents=True)
    state.touch()
    kept = {"etc/nearfield/edge-node.toml"} & set(below(tmp_path)) | {str(state.relative_to(tmp_path))}
    assert command("uninstall") == 0
    assert set(below(tmp_path)) == kept
    assert command("uninstall", "--purge") == 0
    assert below(tmp_path) == {}
    assert not state.parent.exists()
    assert command("uninstall") == 0


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_unit_of_somebody_else_is_left_alone(
    verb: str, service: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = tmp_path / f"etc/systemd/system/{service}.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Unit]\nDescription=mine\n")
    assert command(verb) == 4
    assert "move it away first" in capsys.readouterr().err
    assert set(below(tmp_path)) == {f"etc/systemd/system/{service}.service"}


def test_print_shows_the_unit_and_writes_nothing(
    service: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("install", "--print", *PROGRAM) == 0
    shown = capsys.readouterr().out
    assert below(tmp_path) == {}
    command("install", *PROGRAM)
    assert (tmp_path / f"etc/systemd/system/{service}.service").read_text() == shown


def test_without_the_rights_it_is_one_line(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    main = {"edge-node": node_main, "edge-coordinator": coordinator_main}[service]
    for verb in ("install", "uninstall"):
        assert main([verb]) == 4
        assert f"sudo {service} {verb}" in (said := capsys.readouterr().err)
        assert said.count("\n") == 1


def test_a_root_that_cannot_be_written_is_one_line(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = {"edge-node": node_main, "edge-coordinator": coordinator_main}[service]
    (tmp_path / "etc").touch()
    assert main(["install", "--root", str(tmp_path), *PROGRAM]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_first_configuration_is_one_and_is_never_overwritten(tmp_path: Path) -> None:
    options = ("install", "--root", str(tmp_path), *PROGRAM, "--name", "cam-3")
    assert node_main(options) == 0
    file = tmp_path / "etc/nearfield/edge-node.toml"
    config = msgspec.convert(tomllib.loads(file.read_text()), NodeConfig)
    assert (config.name, config.state_dir) == ("cam-3", "/var/lib/nearfield/node")
    assert file.stat().st_mode & 0o777 == 0o640, "it may hold passwords of cameras"
    file.write_text("# mine")
    assert node_main(options) == 0
    assert file.read_text() == "# mine"


def test_a_name_that_is_none_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert node_main(["install", "--root", str(tmp_path), *PROGRAM, "--name", 'x"\n']) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_accelerators_on_the_usb_are_an_option_that_can_be_taken_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_in = tmp_path / "etc/systemd/system/edge-node.service.d/usb.conf"
    install = ("install", "--root", str(tmp_path), *PROGRAM)
    node_main([*install, "--usb"])
    assert "DeviceAllow=char-usb_device rw" in drop_in.read_text()
    node_main(install)
    assert not drop_in.exists()
    assert f"removed {drop_in}\n" in capsys.readouterr().out


def test_nothing_is_started_in_an_image_and_that_is_said(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("install", "--now", *PROGRAM) == 0
    assert "nothing is started below --root: " in capsys.readouterr().out


def test_who_installs_again_need_not_enroll_again() -> None:
    step = functools.partial(node_unit.next_step, "/opt/nearfield/bin/edge-node")
    assert "edge-node enroll --config /etc/nearfield/edge-node.toml TOKEN" in step(enrolled=False, now=True)
    assert step(enrolled=True, now=False) == "sudo systemctl restart edge-node"


@pytest.mark.parametrize("hidden", [node_unit.hidden, coordinator_unit.hidden], ids=["node", "coordinator"])
def test_a_program_that_services_cannot_see_is_noticed(hidden: Callable[[list[str]], str | None]) -> None:
    assert hidden(["/opt/nearfield/bin/x", "/usr/bin/python3"]) is None
    assert hidden(["/opt/x", "/home/ann/venv/bin/python"]) == "/home/ann/venv/bin/python"
    assert hidden(["/homes/x", "/tmpfs/y"]) is None


def test_a_path_is_quoted_for_exec_start() -> None:
    assert node_unit.quoted("/opt/n/bin/edge-node") == "/opt/n/bin/edge-node"
    assert node_unit.quoted("/opt/my node/100%") == '"/opt/my node/100%%"'
    assert coordinator_unit.quoted('/opt/"x"') == r'"/opt/\"x\""'


def test_the_coordinators_folder_is_made_once() -> None:
    def init(new: bool) -> list[coordinator_unit.Command]:
        return [words for words in coordinator_unit.activation("p", new=new, now=True) if "init" in words]

    assert init(new=True) == [
        ("runuser", "-u", "nearfield-coordinator", "--", "p", "init", "--dir", "/var/lib/nearfield-coordinator")
    ]
    assert init(new=False) == []


@pytest.mark.parametrize("register", [node_commands.register, coordinator_commands.register])
def test_every_option_is_documented(register: Callable[..., None]) -> None:
    page = (ROOT / "docs" / "reference" / "install.md").read_text()
    commands = argparse.ArgumentParser().add_subparsers()
    register(commands)
    options = {
        option for one in commands.choices.values() for action in one._actions for option in action.option_strings
    }
    assert {option for option in options - {"-h", "--help"} if f"`{option}" not in page} == set()
