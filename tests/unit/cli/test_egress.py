"""`edge-node egress test`: everything that must not leave stays, ordinary messages leave, and a hole is found."""

import ast
from pathlib import Path

import msgspec
import pytest

import edge_node
from edge_node.cli import main
from edge_node.cli.egress import EgressReport, report_of
from edge_node.cli.egress_text import egress_text
from edge_node.config import EgressLimits
from edge_node.link.gate import Gate
from protos.egress import Refusal

PACKAGE = Path(edge_node.__file__).parent


def test_no_canary_leaves_and_every_ordinary_message_does() -> None:
    report = report_of(EgressLimits(), "relayed")
    assert report.passed
    assert {trial.message for trial in report.trials if trial.left} == {
        "status", "hello", "reported", "progress", "metrics", "durable", "live", "live_state", "availability",
        "replies",
    }  # fmt: skip
    assert len(report.trials) > 30


def test_a_gate_that_lets_something_through_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control arm: without the check the command says so and fails."""
    monkeypatch.setattr(Gate, "refusal", lambda *_: None)
    assert main(["egress", "test"]) == 1
    printed = capsys.readouterr()
    assert "NOT KEPT HERE: a JPEG as durable" in printed.out
    assert "the gate does not keep the egress contract" in printed.err
    assert printed.err.count("\n") == 1


def test_a_gate_that_lets_nothing_through_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "refusal", lambda *_: Refusal("not_allowed", "no"))
    assert main(["egress", "test"]) == 1


def test_the_configuration_takes_kinds_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edge-node.toml"
    file.write_text('name = "cam-3"\n[egress]\nlive = false\ntensor_bytes = 0\nmax_kbit_s = 1\n')
    assert main(["egress", "test", "--config", str(file), "--json"]) == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=EgressReport)
    assert not {"live", "live_state", "availability"} & {one.kind for one in report.allowed}
    assert {trial.reason for trial in report.trials if trial.message == "live"} == {"switched_off"}
    text = egress_text(report)
    assert "keeps live results here" in text
    assert "at most 1 kbit/s" in text
    assert "at most 0 bytes" in text


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("", "Live results leave once"),
        ('[live]\nuplink = "direct"\n', "Live results leave twice"),
        ('[live]\nurl = "mqtt://127.0.0.1"\n', "go to the site's own broker"),
    ],
)
def test_it_says_how_often_a_result_leaves(
    table: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "edge-node.toml"
    file.write_text(f'name = "cam-3"\n{table}')
    assert main(["egress", "test", "--config", str(file)]) == 0
    assert line in capsys.readouterr().out


def test_a_wrong_policy_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edge-node.toml"
    file.write_text('name = "cam-3"\n[egress]\nimages = true\n')
    assert main(["egress", "test", "--config", str(file)]) == 1
    assert "images" in capsys.readouterr().err


def test_the_mqtt_library_is_spoken_to_at_one_place_behind_the_gate() -> None:
    """Who else could publish: nobody imports paho but one file, and that file calls `publish` on it once."""
    doors = [file for file in PACKAGE.rglob("*.py") if _imports_paho(file)]
    assert [file.relative_to(PACKAGE).as_posix() for file in doors] == ["link/connection.py"]
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(doors[0].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("client.publish", "client.will_set")
    ]
    assert sorted(calls) == ["client.publish", "client.will_set"]


def _imports_paho(file: Path) -> bool:
    tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.ImportFrom) and (node.module or "").startswith("paho") for node in tree)
