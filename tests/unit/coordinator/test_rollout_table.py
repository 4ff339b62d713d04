"""A rollout on a screen."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console

from coordinator.cli.rollout_table import gate_text, picture, stages_text
from coordinator.cli.rollout_watch import outcome_line

NOW = datetime.now(UTC).isoformat()
GATE = {
    "gate": "p95_ms<=50",
    "slice": "site=store-1",
    "verdict": "failed",
    "value": 61.234,
    "bound": 50.0,
    "samples": 200,
    "needed": 100,
}
ROLLOUT: dict[str, Any] = {
    "id": "shelf-3",
    "before": "m@1",
    "after": "m@2",
    "state": "running",
    "since": NOW,
    "reason": "",
    "waves": [
        {"wave": 0, "nodes": 2, "stages": {"healthy": 2}, "gates": [GATE]},
        {"wave": 1, "nodes": 8, "stages": {"ordered": 3, "waiting": 5}, "gates": []},
    ],
    "members": [
        {"site": "s", "name": "cam-1", "wave": 1, "stage": "waiting", "since": None, "reason": "waits for a place"}
    ],
    "events": [{"at": "2026-05-01T10:00:00Z", "kind": "wave", "text": "wave 1 of 2 begins"}],
}


def shown(rollout: dict[str, Any], note: str = "") -> str:
    """The picture as text."""
    screen = Console(width=120, file=StringIO(), force_terminal=False)
    with screen.capture() as captured:
        screen.print(picture(rollout, note))
    return captured.get()


def test_the_picture_tells_waves_gates_who_waits_for_what_and_what_was_decided() -> None:
    text = shown(ROLLOUT, "the coordinator does not answer: trying again")
    assert "rollout shelf-3  m@1 → m@2  running for " in text
    assert "canary  2" in text
    assert "3 ordered, 5 waiting" in text
    assert "p95_ms<=50 (site=store-1) failed: 61.23, 200 samples" in text
    assert "s/cam-1  1     waiting  -      waits for a place" in text
    assert "10:00:00  wave  wave 1 of 2 begins" in text
    assert text.rstrip().endswith("trying again")


def test_a_gate_that_waits_says_how_many_samples_it_needs() -> None:
    assert gate_text({**GATE, "samples": 20, "verdict": "waiting"}).endswith("20 of 100 samples")


def test_what_nodes_say_is_shown_as_they_say_it() -> None:
    member = {**ROLLOUT["members"][0], "reason": "wants [red] or [/]"}
    assert "wants [red] or [/]" in shown({**ROLLOUT, "members": [member]})


def test_nothing_that_a_node_says_steers_the_terminal() -> None:
    event = {**ROLLOUT["events"][0], "text": "\x1b]0;mine\x07"}
    member = {**ROLLOUT["members"][0], "reason": "\x1b[2J"}
    text = shown({**ROLLOUT, "reason": "\x1b[31m", "members": [member], "events": [event]})
    assert "\x1b" not in text
    assert "?[2J" in text


def test_what_nothing_is_known_of_is_said_to_be_so() -> None:
    assert gate_text({**GATE, "value": None, "slice": "", "verdict": "waiting"}).startswith(
        "p95_ms<=50 waiting: nothing yet"
    )
    assert stages_text({"stages": {}}) == "-"


def test_the_last_line_says_how_it_ended_and_what_comes_next() -> None:
    assert outcome_line({**ROLLOUT, "state": "completed"}) == "rollout shelf-3 is completed"
    failed = {**ROLLOUT, "state": "failed", "reason": "2 of 9 nodes failed; 0 may"}
    assert outcome_line(failed) == (
        "rollout shelf-3 is failed: 2 of 9 nodes failed; 0 may; next: edgectl rollout resume|abort|revert shelf-3"
    )
