"""Whatever a node reports, rounds go on; what cannot be counts as nothing."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.fleet.records import Node
from coordinator.rollouts.advance import advance
from coordinator.rollouts.plausible import MOST_WORDS, one_line, plausible_shadow, plausible_trial
from coordinator.rollouts.states import Stage, State
from coordinator.rollouts.viewing import view_of
from protos.evidence import CONFIDENCE_BINS, Evidence
from protos.reported import Facts, Reported, ReportedDeployment
from tests.unit.rollouts.examples import (
    AFTER,
    NOW,
    a_member,
    a_rollout,
    a_shadow,
    a_spec,
    a_trial,
    by_node,
    evidence,
    node,
    on_trial,
    views_of,
)

GATES = ("p95_ms<=50", "error_rate<=0.1", "confidence_shift<=0.2", "prediction_shift<=0.2", "memory_mb<=100")
NUMBERS = st.one_of(st.integers(), st.sampled_from([0, 1, 2**53, -1, 10**30]))
AMOUNTS = st.floats(allow_nan=True, allow_infinity=True)
WILD = st.builds(
    Evidence,
    st.text(max_size=3),
    st.text(max_size=3),
    samples=NUMBERS,
    errors=NUMBERS,
    latency=st.dictionaries(NUMBERS, NUMBERS, max_size=3),
    confidence=st.lists(NUMBERS, max_size=CONFIDENCE_BINS + 1).map(tuple),
    classes=st.dictionaries(st.text(max_size=3), NUMBERS, max_size=3),
    compared=NUMBERS,
    agreed=NUMBERS,
    distance=AMOUNTS,
)


def test_what_nodes_count_is_taken() -> None:
    trial, shadow = a_trial("passed", evidence=(evidence(),)), a_shadow(evidence=(evidence(compared=10, agreed=9),))
    assert plausible_trial(trial) is trial
    assert plausible_shadow(shadow) is shadow
    assert plausible_trial(None) is None
    assert plausible_shadow(None) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": -1},
        {"errors": 2**60},
        {"latency": {10**9: 1}},
        {"latency": {1: -1}},
        {"confidence": (1, 2, 3)},
        {"classes": {str(number): 1 for number in range(100)}},
        {"compared": 1, "agreed": 2},
        {"distance": float("nan")},
    ],
)
def test_what_cannot_be_is_as_nothing(changes: dict[str, Any]) -> None:
    wild = msgspec.structs.replace(evidence(), **changes)
    assert plausible_trial(a_trial(evidence=(wild,))) is None
    assert plausible_shadow(a_shadow(reference=(evidence(), wild))) is None


@pytest.mark.parametrize("changes", [{"memory_mb": float("inf")}, {"restarts": -1}, {"evidence": (evidence(),) * 2000}])
def test_so_are_wild_numbers_beside_it(changes: dict[str, Any]) -> None:
    assert plausible_trial(a_trial(**changes)) is None


@given(st.lists(WILD, max_size=3), st.lists(WILD, max_size=3), AMOUNTS, NUMBERS)
def test_no_report_of_a_node_stops_the_decisions_on_the_others(
    told: list[Evidence], before: list[Evidence], memory_mb: float, restarts: int
) -> None:
    trial = a_trial("passed", evidence=tuple(told), reference=tuple(before), memory_mb=memory_mb, restarts=restarts)
    entry = ReportedDeployment("shelf", "m", 2, AFTER, "running", trial=trial)
    itself = Node(
        node(1), "s", "n", {}, Facts(), NOW, last_seen=NOW, reported=Reported(node(1), 1, 1, None, "", (entry,))
    )
    rollout = a_rollout(spec=a_spec(gates=GATES, slices=("pipeline", "shift"), min_samples=1))
    members = by_node((a_member(1, Stage.ORDERED), a_member(2, Stage.ORDERED)))
    views = views_of(view_of(itself, "shelf"), on_trial(2, "passed", evidence=(evidence(),), reference=(evidence(),)))
    decision = advance(rollout, members, views, {}, NOW)
    assert decision.rollout.state in State


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("why\n it \x1b[31mfailed", "why it [31mfailed"),
        ("x" * 1000, "x" * MOST_WORDS + "…"),
        ("", ""),
    ],
)
def test_a_reason_is_one_line_that_no_terminal_obeys(text: str, line: str) -> None:
    assert one_line(text) == line
