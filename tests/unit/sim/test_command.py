"""`edgectl sim`, in this process."""

import json
from pathlib import Path

import pytest

from coordinator.cli import main


def test_it_prints_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--nodes", "20", "--failure-rate", "1", "--max-parallel", "3"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "failed: 1 of 20 nodes failed; 0 may" in said.out
    assert "in flight               at most 1 of 3" in said.out
    assert "wave 2  0       18" in said.out


def test_its_json_has_the_counts_that_policies_are_judged_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, faults = tmp_path / "spec.yaml", tmp_path / "faults.yaml"
    spec.write_text("deployment: shelf\nto: m@2\nauto_promote: true\nauto_revert: true\nmax_failures: 100%\n")
    faults.write_text("offline: 0.2\n")
    given = ["--rollout", str(spec), "--faults", str(faults), "--max-parallel", "50%", "--failure-rate", "0"]
    assert main(["sim", "--nodes", "20", *given, "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["state"], outcome["cap"], outcome["violations"]) == ("completed", 10, [])
    assert outcome["final_states"] == {"absent": 4, "healthy": 16}
    assert (outcome["started"], outcome["failed"], outcome["started_after_stop"]) == (16, 0, 0)
    assert outcome["serving"] == {"m@2": 20}


@pytest.mark.parametrize(
    ("text", "option", "said"),
    [
        ("deployment: shelf\nto: m@2\ncanry: 5%\n", "--rollout", "line 3: unknown key 'canry'; did you mean 'canary'?"),
        ("- 5\n", "--rollout", "is not a rollout: it needs deployment and to"),
        ("failure_rte: 1\n", "--faults", "line 1: unknown key 'failure_rte'; did you mean 'failure_rate'?"),
        ("lost: 1.0\n", "--faults", "crash_rate and lost must be below 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, option: str, said: str
) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    assert main(["sim", "--nodes", "5", option, str(file)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_is_wrong_with_options_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--failure-rate", "2"]) == 2
    assert main(["sim", "--max-parallel", "many"]) == 1
    assert "--max-parallel: max_parallel: 'many' is not a share" in capsys.readouterr().err
