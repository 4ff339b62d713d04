"""The agent as a program: what it imports, its command line, its lock and its socket."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from edge_node.cli import main
from edge_node.cli.run import parse_label, parse_source
from edge_node.errors import BadInput, Refused, Unreachable
from edge_node.supervisor.control import StatusSocket, ask_status, socket_folder, state_lock
from edge_node.telemetry.logs import JsonFormatter, TextFormatter


def test_the_agent_process_imports_no_engine_no_decoder_and_no_grpc() -> None:
    code = "import edge_node.app, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    forbidden = {"numpy", "grpc", "google", "zeroconf", "onnxruntime", "ai_edge_litert", "tflite_runtime", "av", "PIL"}
    assert not forbidden & set(loaded)


def test_a_source_on_the_command_line_is_a_name_an_address_and_options() -> None:
    assert parse_source("shelf=/film.mp4") == ("shelf", {"url": "/film.mp4"})
    assert parse_source("shelf=rtsp://u:p@h/x?a=b,fps=5,loop=true,realtime=false") == (
        "shelf",
        {"url": "rtsp://u:p@h/x?a=b", "fps": 5.0, "loop": True, "realtime": False},
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/film.mp4", "write NAME=URL"),
        ("shelf=", "write NAME=URL"),
        ("shelf=/f,fsp=3", "did you mean fps"),
        ("shelf=/f,loop=yes", "true or false"),
        ("shelf=/f,fps=many", "is a number"),
    ],
)
def test_a_wrong_source_is_refused_with_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        parse_source(text)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://admin:hunter2@cam/x",
        "rtsp://admin:hunter2@cam/x?channel=1",
        "shelf=rtsp://admin:hunter2@cam/x,fsp=3",
        "shelf=rtsp://admin:hunter2@cam/x,fps=many",
    ],
)
def test_a_cameras_password_is_not_repeated_in_what_is_wrong(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_source(text)
    assert "hunter2" not in str(refused.value)


def test_a_wrong_label_is_refused() -> None:
    assert parse_label("zone=a=b") == ("zone", "a=b")
    with pytest.raises(BadInput, match="KEY=VALUE"):
        parse_label("zone")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["run", "--name", "Cam 3"], 2, "is not a name"),
        (["run", "--name", "c", "--source", "x"], 2, "write NAME=URL"),
        (["run", "--name", "c", "--source", "Shelf=/f"], 2, "is not a name"),
        (["run", "--name", "c", "--source", "h=http://foo/a"], 2, "sources.h: source http://foo/a"),
        (["run", "--config", "/nowhere.toml"], 1, "/nowhere.toml"),
        (["run", "--name", "c", "--coordinator", "here"], 2, "HOST:PORT"),
        (["enroll"], 2, "give the token, - to read it from standard input, or --token-file FILE"),
        (["enroll", "nonsense"], 1, "not a join token"),
        (["enroll", "--token-file", "/nowhere"], 1, "token file /nowhere: No such file"),
        (["run", "--name", "c", "--broker", "here"], 2, "is not a broker URL"),
        (["run", "--name", "c", "--live-broker", "mqtt://8.8.8.8"], 2, "not on the loopback"),
        (
            ["run", "--name", "c", "--live-broker", "mqtt://127.0.0.1", "--live-password-file", "/no"],
            2,
            "live.password_file /no",
        ),
        (["run", "--name", "c", "--state-dir", "/proc/c"], 1, "the state folder /proc/c cannot be used"),
        (["status", "--state-dir", "/nowhere"], 3, "no agent answers"),
    ],
)
def test_a_wrong_command_line_gives_one_line(
    arguments: list[str], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert said.startswith("edge-node: ")
    assert complaint in said
    assert said.count("\n") == 1


def test_a_device_without_identity_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--state-dir", str(tmp_path / "node")]) == 4
    assert "no identity: edge-node enroll TOKEN" in capsys.readouterr().err


def test_a_state_folder_belongs_to_one_agent(tmp_path: Path) -> None:
    with state_lock(tmp_path), pytest.raises(Refused, match="another agent"), state_lock(tmp_path):
        pass
    with state_lock(tmp_path):
        pass


async def test_the_status_socket_answers_also_below_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    socket = StatusSocket(folder, lambda: b'{"name":"cam"}')
    await socket.open()
    assert json.loads(await asyncio.to_thread(ask_status, folder)) == {"name": "cam"}
    await socket.close()
    with pytest.raises(Unreachable):
        ask_status(folder)


def test_captures_get_a_folder_whose_path_is_short_enough(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    with socket_folder(deep) as folder:
        assert len(str(folder)) < 40
    assert not folder.exists()


def test_logs_read_as_text_and_as_json() -> None:
    record = logging.LogRecord("edge_node.app", logging.WARNING, "", 1, "lost %s", ("it",), None)
    assert TextFormatter().format(record).endswith("WARNING app: lost it")
    assert json.loads(JsonFormatter().format(record))["message"] == "lost it"
