"""A rollout's specification of a command line: options, a file, and both."""

from pathlib import Path

import pytest

from coordinator.cli.rollout_options import FLAGS, LISTS, NUMBERS, TEXT, rollout_document
from coordinator.errors import BadInput, WrongUsage
from coordinator.rollouts.spec_file import RolloutFile

FILE = "deployment: shelf\nto: m@2\nwaves: 25%,100%\nmax_restarts: 3\ngates: [p95_ms<=50]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A specification."""
    made = tmp_path / "rollout.yaml"
    made.write_text(FILE, encoding="utf-8")
    return made


def test_every_key_of_a_file_has_an_option() -> None:
    plural = {f"{name}s" for name in LISTS}
    options = TEXT.keys() | plural | NUMBERS.keys() | FLAGS.keys() | {"deployment"}
    assert options == set(RolloutFile.__struct_fields__)


def test_options_alone_are_enough() -> None:
    options = {"to": "m@2", "canary": "5%", "gate": ["p95_ms<=50"], "auto_promote": True, "priority": 0, "shadow": ""}
    assert rollout_document("shelf", None, options) == {
        "deployment": "shelf",
        "to": "m@2",
        "canary": "5%",
        "gates": ["p95_ms<=50"],
        "auto_promote": True,
        "priority": 0,
    }


def test_an_option_wins_over_the_file_also_where_it_is_zero(file: Path) -> None:
    document = rollout_document(None, file, {"to": "m@3", "max_restarts": 0, "auto_revert": False})
    assert (document["to"], document["max_restarts"], document["deployment"]) == ("m@3", 0, "shelf")
    assert document["waves"] == "25%,100%"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("deployment: shelf\nto: m@2\nwavs: 100%\n", r"rollout.yaml, line 3: .*'wavs'"),
        ("deployment: shelf\nto: m@2\ngates: p95_ms=>50\n", r"rollout.yaml, line 3: gates: 'p95_ms=>50' is not a gate"),
        ("- a\n", "is not a rollout: it needs deployment and to"),
        ("a: [", "rollout.yaml, line 1: "),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(file: Path, text: str, complaint: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=complaint):
        rollout_document(None, file, {})


@pytest.mark.parametrize(
    ("deployment", "options", "complaint"),
    [
        (None, {"to": "m@2"}, "which deployment"),
        ("shelf", {}, "which version"),
    ],
)
def test_what_is_missing_is_asked_for(deployment: str | None, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(WrongUsage, match=complaint):
        rollout_document(deployment, None, options)


def test_a_wrong_value_of_an_option_is_wrong_usage_and_one_of_a_file_is_not(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="not a gate"):
        rollout_document("shelf", None, {"to": "m@2", "gate": ["faster"]})
    file = tmp_path / "rollout.yaml"
    file.write_text("deployment: shelf\nto: m@2\ngates: [faster]\n")
    with pytest.raises(BadInput, match="not a gate") as refused:
        rollout_document(None, file, {})
    assert not isinstance(refused.value, WrongUsage)
