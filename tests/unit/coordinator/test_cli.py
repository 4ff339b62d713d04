"""The edges of `edgectl`: its arguments, its exit codes, what it prints."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.authority.files import make_identity
from coordinator.cli import COORDINATOR, hoisted, main
from coordinator.cli.authoring import as_ours
from coordinator.cli.credentials import OPTION
from coordinator.cli.node import fact_text
from coordinator.cli.nouns import ALL, named_by
from coordinator.cli.output import age_text, print_fields, print_table, size_text, warn
from coordinator.folder import Folder

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An administrator's credential that `edgectl` finds."""
    folder = Folder(tmp_path)
    folder.authority_key.parent.mkdir()
    make_identity(folder, "alice", datetime.now(UTC))
    monkeypatch.setenv("NEARFIELD_CREDENTIALS", str(folder.admin))
    return folder.admin


@pytest.mark.parametrize(
    ("given", "hoisted_to"),
    [
        (["status"], ["status"]),
        (["node", "list", "--coordinator", "a:1", "--json"], ["--coordinator", "a:1", "node", "list", "--json"]),
        (["status", "--coordinator=a:1"], ["--coordinator=a:1", "status"]),
        (["status", "--", "--coordinator", "a:1"], ["status", "--", "--coordinator", "a:1"]),
        (["status", "--coordinator"], ["status", "--coordinator"]),
        (
            ["status", "--credentials", "f", "--coordinator=a:1"],
            ["--credentials", "f", "--coordinator=a:1", "status"],
        ),
    ],
)
def test_the_coordinator_may_be_named_anywhere(given: list[str], hoisted_to: list[str]) -> None:
    assert hoisted(given) == hoisted_to


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["node", "list", "--jsn"], 2, "No such option: --jsn"),
        (["nodes"], 2, "No such command 'nodes'"),
        (["model", "push"], 2, "Missing argument 'FOLDER'"),
        (["status", "--coordinator", "nowhere"], 2, "write host:port"),
        (["status", "--coordinator", "127.0.0.1:99999"], 2, "write host:port"),
        (["status", "--credentials", "/absent.pem"], 4, "no credential at /absent.pem: name one with --credentials"),
        (["status", "--credentials", "/dev/null"], 1, "/dev/null is not a credential"),
        (["status", "--credentials", "/"], 1, "/: Is a directory"),
        (["status", "--coordinator", "127.0.0.1:1"], 3, "start one with edge-coordinator serve"),
        (["results", "query", "--coordinator", "127.0.0.1:1"], 3, "start one with edge-coordinator serve"),
        (["model", "push", "/absent"], 1, "/absent is not a folder"),
        (["model", "show", "m@x"], 2, "write MODEL@VERSION"),
        (["model", "delete", "m"], 2, "say which version"),
        (["deployment", "apply", "/absent.yaml"], 1, "/absent.yaml: No such file or directory: give a deployment's"),
        (["results", "query", "--since", "5x"], 2, "--since '5x': write a duration"),
        (["results", "query", "--limit", "-1"], 2, "greater than or equal to 0. See edgectl results query --help"),
        (["results", "export", "-o", "f", "--format", "xls"], 2, "'--format': 'xls' is not one of 'jsonl', 'csv',"),
    ],
)
def test_what_a_person_did_wrong_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, complaint: str, credential: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    ("fact", "text"),
    [({}, "-"), ([], "-"), (["a", "b"], "a, b"), ({"live": False, "tensor": 0}, "live False, tensor 0"), (4, "4")],
)
def test_a_fact_of_a_node_is_one_line(fact: object, text: str) -> None:
    assert fact_text(fact) == text


def test_an_address_of_the_environment_is_named_as_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEARFIELD_COORDINATOR", "::")
    assert main(["status"]) == 2
    assert capsys.readouterr().err.startswith("edgectl: NEARFIELD_COORDINATOR '::': write host:port")


def test_what_the_nodes_command_says_comes_under_the_name_that_was_typed() -> None:
    assert as_ours("edge-node: m.onnx is cut off\n", "init") == "edgectl model init: m.onnx is cut off\n"
    said = "edge-node bundle init: no such option --x. See edge-node bundle init --help\n"
    assert as_ours(said, "init") == "edgectl model init: no such option --x. See edgectl model init --help\n"


@pytest.mark.parametrize("arguments", [[], ["node"]])
def test_a_command_line_that_asks_for_nothing_gets_the_help_once(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out.count("Usage:") == 1
    assert "<bool>" not in printed.out
    assert printed.err == ""


@pytest.mark.parametrize("arguments", [["--help"], ["model", "--help"], ["--version"]])
def test_help_and_version_succeed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "edgectl" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**3, "3.0 GiB"), (2**60, "1048576.0 TiB")],
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("", "never"),
        ("2026-05-01T11:59:48Z", "12s"),
        ("2026-05-01T11:00:00.000Z", "1h"),
        ("2026-04-28T12:00:00Z", "3d"),
        ("2026-05-01T12:00:05Z", "0s"),
    ],
)
def test_ages_are_for_people(moment: str, text: str) -> None:
    assert age_text(moment, NOW) == text


def test_nothing_that_is_shown_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NODE", "REASON"), [("cam", "\x1b]0;mine\x07")], "none")
    print_fields([("hostname", "\x1b[2J\x9b1m\r")])
    warn(["it has: \x1b[32m"])
    said = "".join(capsys.readouterr())
    assert not any(sign in said for sign in "\x1b\x9b\x07\r")
    assert "?]0;mine?" in said


def test_tables_have_no_blanks_at_the_end_of_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "LABELS"), [("cam-3", "-"), ("cam-4", "gpu=yes,left=no")], "none")
    print_fields([("a", "short"), ("b", "a longer value")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "NAME   LABELS",
        "cam-3  -",
        "cam-4  gpu=yes,left=no",
        "a  short",
        "b  a longer value",
    ]


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("node list", ("node",)),
        ("--coordinator h:1 --credentials=x.pem status --json", ("status",)),
        ("", ALL),
        ("--help", ALL),
        ("--help node", ALL),
        ("nod list", ALL),
        ("--coordinator", ALL),
    ],
)
def test_only_what_a_command_line_names_is_made(line: str, about: tuple[str, ...]) -> None:
    assert named_by(line.split(), (COORDINATOR, OPTION)) == about


def test_a_command_does_not_wait_for_the_modules_of_others() -> None:
    code = "import sys; from coordinator.cli import main; main(['node', '--help']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "coordinator.cli.node" in loaded
    assert not {"coordinator.cli.demo", "coordinator.cli.results", "yaml"} & set(loaded)
