"""A coordinator's folder and its broker, when they are not as they should be: one line each, and nothing is broken."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.app import Coordinator
from coordinator.errors import Refused
from coordinator.folder import Folder, held
from tests.coordinators import CONFIG, edgectl, running_coordinator
from tests.integration.test_coordinator import COMMAND, PORTS, run, serving


def files_of(folder: Path) -> dict[Path, int]:
    """When each file was last written."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.needs("mosquitto")
async def test_a_second_coordinator_on_the_same_folder_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    async with running_coordinator(tmp_path):
        before = files_of(tmp_path / "broker")
        done = run("serve", "--dir", str(tmp_path), *PORTS)
        assert (done.returncode, done.stderr.count("\n")) == (4, 1)
        assert f"another coordinator serves from {tmp_path}: stop that one" in done.stderr
        assert files_of(tmp_path / "broker") == before


@pytest.mark.needs("mosquitto")
def test_a_lock_that_a_killed_coordinator_left_blocks_nobody(tmp_path: Path) -> None:
    run("init", "--dir", str(tmp_path))
    with serving(tmp_path) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert (tmp_path / "coordinator.lock").exists()
    with serving(tmp_path) as (_, line):
        assert line.startswith("coordinator 127.0.0.1:")


async def test_a_coordinator_that_could_not_start_gives_the_folder_back(tmp_path: Path) -> None:
    run("init", "--dir", str(tmp_path))
    with held(Folder(tmp_path)), pytest.raises(Refused):
        await Coordinator(CONFIG, tmp_path).start()
    with held(Folder(tmp_path)):
        pass


@pytest.fixture
def full_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many kilobytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    size = f"size={request.param}k"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no right to mount a file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("full_disk", [64, 128, 264, 304], indirect=True)
def test_a_full_disk_is_one_line(full_disk: Path) -> None:
    """Room for less and more of the two databases: there is none for the log's index, for tables, for the second."""
    folder = str(full_disk / "coord")
    assert run("init", "--dir", folder).returncode == 0
    done = run("serve", "--dir", folder, *PORTS)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert ".db: " in done.stderr
    assert "disk is full" in done.stderr


def test_a_folder_that_cannot_be_made_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    done = run("init", "--dir", str(tmp_path / "plain"))
    assert done.returncode == 1
    assert done.stderr.endswith("plain/keys: Not a directory: choose another folder with --dir\n")


def test_a_port_in_use_is_our_line_alone(tmp_path: Path) -> None:
    run("init", "--dir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--dir", str(tmp_path), *PORTS, "--port", str(port), "--log-level", "error")
    said = done.stderr.strip()
    expected = f"edge-coordinator: 127.0.0.1:{port} is in use or cannot be bound: choose another port with --port"
    assert (done.returncode, said) == (1, expected)


def test_an_external_broker_that_does_not_answer_is_a_warning_and_part_of_the_ready_line(tmp_path: Path) -> None:
    run("init", "--dir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"mqtt://127.0.0.1:{free.getsockname()[1]}"
    command = [*COMMAND, "serve", "--dir", str(tmp_path), *PORTS, "--broker", nobody]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert "(external, not connected yet)" in process.stdout.readline()
            warning = next(line for line in process.stderr if "WARNING" in line)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert f"cannot reach the broker at {nobody}" in warning


async def test_status_says_whether_the_broker_is_connected_and_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path, broker="mqtt://127.0.0.1:9") as coordinator:
        assert await edgectl(coordinator, "status", "--json") == 0
        status = json.loads(capsys.readouterr().out)
        assert status["broker_connected"] is False
        assert "127.0.0.1:9" in status["broker_state"]
        assert await edgectl(coordinator, "status") == 0
        assert f"no: {status['broker_state']}" in capsys.readouterr().out
