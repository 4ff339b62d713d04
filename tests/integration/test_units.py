"""The units of the services as systemd reads them: it knows every line, and they leave a system little exposed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from coordinator.__main__ import main as coordinator_main
from edge_node.cli import main as node_main
from tests.conftest import ROOT
from tests.e2e.restricted import permitted

pytestmark = pytest.mark.needs("systemd-analyze")
MOST_EXPOSED = 2.5
UNITS = {name: ROOT / "deploy" / "systemd" / name / f"edge-{name}.service" for name in ("node", "coordinator")}


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An installed unit, whose program is there."""
    main = {"node": node_main, "coordinator": coordinator_main}[request.param]
    assert main(["install", "--root", str(tmp_path), "--program", "/bin/true"]) == 0
    return tmp_path / f"etc/systemd/system/edge-{request.param}.service"


def analyzed(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SYSTEMD_COLORS": "0"})


def exposure(unit: Path) -> float:
    done = analyzed("security", "--offline=true", unit)
    said = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert said, done.stderr
    return float(said[1])


def test_a_unit_leaves_the_system_little_exposed(unit: Path) -> None:
    assert exposure(unit) <= MOST_EXPOSED


def test_without_its_hardening_the_same_unit_would_be_exposed(unit: Path, tmp_path: Path) -> None:
    hardening = re.compile(r"^(Protect|Private|Restrict|Capability|NoNew|SystemCall|Memory|Lock)\w+=.*\n", re.MULTILINE)
    bare = tmp_path / unit.name
    bare.write_text(hardening.sub("", unit.read_text()))
    assert exposure(bare) > MOST_EXPOSED


def test_systemd_knows_every_line_of_a_unit(unit: Path) -> None:
    done = analyzed("verify", "--man=no", unit)
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert ours == []


def test_a_service_is_watched_started_again_and_drained(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert {"Type=notify", "KillMode=mixed", "Restart=always", "LimitCORE=0", "UMask=0077"} <= set(lines)
    assert any(line.startswith("WatchdogSec=") for line in lines)
    assert not any(line.startswith("User=root") for line in lines)


def test_a_nodes_workers_may_confine_themselves() -> None:
    needed = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "prctl", "capset"}
    assert needed <= permitted(UNITS["node"].read_text())


def test_no_service_may_do_what_only_the_system_does() -> None:
    for file in UNITS.values():
        calls = permitted(file.read_text())
        assert calls & {"mount", "ptrace", "bpf", "init_module", "reboot", "setuid", "chroot", "kexec_load"} == set()


@pytest.mark.needs("systemd-sysusers", "systemd-tmpfiles")
@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders away, which only root can")
def test_an_image_gets_users_without_a_login_and_folders_that_are_theirs_alone(tmp_path: Path) -> None:
    for main in (node_main, coordinator_main):
        assert main(["install", "--root", str(tmp_path), "--program", "/bin/true"]) == 0
    for command in (("systemd-sysusers",), ("systemd-tmpfiles", "--create")):
        subprocess.run([*command, f"--root={tmp_path}"], check=True, capture_output=True)
    accounts = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    users = {name: (int(number), shell) for name, _, number, _, _, _, shell in accounts}
    for name in ("nearfield", "nearfield-coordinator"):
        folder = (tmp_path / "var/lib" / name).stat()
        assert (folder.st_uid, folder.st_mode & 0o777) == (users[name][0], 0o700)
        assert users[name][0] != 0
        assert users[name][1].endswith("nologin")
    config = (tmp_path / "etc/nearfield/edge-node.toml").stat()
    assert (config.st_uid, config.st_mode & 0o777) == (0, 0o640)
    assert {"video", "plugdev"} <= {line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()}
