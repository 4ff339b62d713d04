"""Whose evidence a gate is asked of."""

from dataclasses import replace
from typing import Any

from coordinator.rollouts.gates import Outcome, Verdict
from coordinator.rollouts.judging import needs_shadow, outcome_of, service_verdicts, shadow_verdicts
from coordinator.rollouts.records import Measure, Rollout, Truth, View
from coordinator.rollouts.states import Stage
from protos.evidence import ReportedTrial
from protos.identity import NodeId
from tests.unit.rollouts.examples import (
    a_member,
    a_rollout,
    a_shadow,
    a_spec,
    a_trial,
    a_view,
    evidence,
    on_trial,
    views_of,
)


def judged(rollout: Rollout, *views: View, stage: Stage = Stage.HEALTHY) -> dict[str, Verdict]:
    """What the gates say of these nodes, by slice."""
    members = [a_member(i, stage) for i, _ in enumerate(views, 1)]
    found = service_verdicts(rollout, members, views_of(*views))
    return {f"{verdict.gate} {verdict.slice}".strip(): verdict for verdict in found}


def gated(*gates: str, **changes: Any) -> Rollout:
    """A rollout with these gates."""
    return a_rollout(spec=a_spec(gates=gates, **changes))


def test_the_evidence_of_a_waves_nodes_is_added_up() -> None:
    nodes = [on_trial(i, evidence=(evidence(60, errors=i),)) for i in (1, 2)]
    verdict = judged(gated("error_rate<=0.5"), *nodes)["error_rate<=0.5"]
    assert (verdict.value, verdict.samples, verdict.outcome) == (3 / 123, 123, Outcome.PASSED)


def test_what_is_said_of_another_rollout_or_an_earlier_attempt_does_not_count() -> None:
    old = on_trial(1, evidence=(evidence(errors=500),))
    rollout = gated("error_rate<=0.1")
    member = a_member(1, Stage.ORDERED, attempt=1)
    assert service_verdicts(rollout, [member], views_of(old))[0].samples == 0
    other = a_view(1, trial=ReportedTrial("other-1", 1, "on", evidence=(evidence(),)))
    assert service_verdicts(rollout, [member], views_of(other))[0].samples == 0


def test_a_version_that_is_fine_on_average_and_bad_at_one_site_fails() -> None:
    good = [on_trial(i, evidence=(evidence(900),)) for i in (1, 2, 3)]
    bad = a_view(4, site="store-2", trial=a_trial(evidence=(evidence(100, errors=20),)))
    found = judged(gated("error_rate<=0.01", slices=("site",)), *good, bad)
    assert found["error_rate<=0.01"].outcome is Outcome.PASSED
    assert found["error_rate<=0.01 site=store-1"].outcome is Outcome.PASSED
    assert found["error_rate<=0.01 site=store-2"].outcome is Outcome.FAILED
    assert outcome_of(found.values()) is Outcome.FAILED


def test_slices_are_pipelines_shifts_and_labels_as_well() -> None:
    counts = (evidence(pipeline="door", shift="day"), evidence(ms=90, pipeline="shelf", shift="night"))
    node = on_trial(1, evidence=counts)
    labelled = a_view(2, labels={"rack": "x"}, trial=a_trial(evidence=counts))
    found = judged(gated("p95_ms<=50", slices=("pipeline", "shift", "rack")), node, labelled)
    outcomes = {name: str(verdict.outcome) for name, verdict in found.items()}
    assert outcomes == {
        "p95_ms<=50": "failed",
        "p95_ms<=50 pipeline=door": "passed",
        "p95_ms<=50 pipeline=shelf": "failed",
        "p95_ms<=50 shift=day": "passed",
        "p95_ms<=50 shift=night": "failed",
        "p95_ms<=50 rack=": "failed",
        "p95_ms<=50 rack=x": "failed",
    }


def test_what_nodes_count_is_asked_of_groups_of_nodes_and_what_others_measure_of_all_together() -> None:
    nodes = on_trial(1, evidence=(evidence(pipeline="door"),), restarts=1), on_trial(2, restarts=2, memory_mb=9.0)
    rollout = gated("restarts<=2", "memory_mb<=10", "accuracy>=0.9", slices=("pipeline", "site"))
    found = judged(a_rollout(spec=rollout.spec, measures={"accuracy": Measure(0.95, 200)}), *nodes)
    assert set(found) == {
        "restarts<=2",
        "memory_mb<=10",
        "accuracy>=0.9",
        "restarts<=2 site=store-1",
        "memory_mb<=10 site=store-1",
    }
    assert found["restarts<=2"].value == 3
    assert found["memory_mb<=10"].value == 9.0
    assert found["accuracy>=0.9"].outcome is Outcome.PASSED


def test_nodes_that_failed_or_went_back_are_counted_among_all_of_the_wave() -> None:
    nodes = [on_trial(1, "returned"), on_trial(2, fell="cpu: no driver"), on_trial(3), a_view(4)]
    found = judged(gated("returned<=0.1", "fallback<=0.1"), *nodes)
    assert [verdict.value for verdict in found.values()] == [0.25, 0.25]


def test_a_gate_of_the_shadow_is_asked_of_the_shadow_alone() -> None:
    rollout = gated("agreement>=0.9", "p95_ms<=50", "error_rate<=0.1")
    views = views_of(
        a_view(1, shadow=a_shadow(evidence=(evidence(compared=500, agreed=400),))),
        a_view(2, shadow=a_shadow(attempt=3, evidence=(evidence(compared=500, agreed=500),))),
        a_view(3),
    )
    found = shadow_verdicts(rollout, [a_member(i, Stage.SHADOWING) for i in (1, 2, 3)], views)
    assert [(verdict.gate, verdict.value) for verdict in found] == [("agreement>=0.9", 0.8), ("error_rate<=0.1", 0)]
    assert [verdict.gate for verdict in service_verdicts(rollout, [], {})] == ["p95_ms<=50", "error_rate<=0.1"]


def test_one_verdict_that_waits_makes_all_wait_and_none_is_passed() -> None:
    assert outcome_of(()) is Outcome.PASSED
    found = judged(gated("p95_ms<=50", "memory_mb<=10"), on_trial(1, memory_mb=5.0))
    assert outcome_of(found.values()) is Outcome.WAITING


def test_a_gate_that_only_a_shadow_decides_is_named() -> None:
    assert needs_shadow(a_spec(gates=("p95_ms<=5", "distance<=0.1"))) == "distance<=0.1"
    assert needs_shadow(a_spec(gates=("p95_ms<=5", "error_rate<=0.1"))) == ""


def test_labels_that_arrive_say_where_the_new_version_is_wrong() -> None:
    door, shelf = (
        Truth(NodeId(f"{1:032x}"), pipeline, 100, right) for pipeline, right in (("door", 99), ("shelf", 80))
    )
    counts = (evidence(pipeline="door"), evidence(pipeline="shelf"))
    node = replace(on_trial(1, evidence=counts), truths=(door, shelf))
    found = judged(gated("accuracy>=0.85", slices=("pipeline",)), node)
    assert [(str(verdict.outcome), verdict.value) for verdict in found.values()] == [
        ("passed", 0.895),
        ("passed", 0.99),
        ("failed", 0.8),
    ]


def test_a_site_where_every_node_failed_keeps_no_gate_waiting_for_answers() -> None:
    members = [a_member(1, Stage.FAILED), a_member(2, Stage.HEALTHY)]
    views = views_of(a_view(1, site="dark"), on_trial(2, evidence=(evidence(),)))
    found = service_verdicts(gated("p95_ms<=50", "returned<=0.5", slices=("site",)), members, views)
    outcomes = {(verdict.gate, verdict.slice): str(verdict.outcome) for verdict in found if verdict.slice}
    assert outcomes == {
        ("p95_ms<=50", "site=store-1"): "passed",
        ("returned<=0.5", "site=store-1"): "passed",
        ("returned<=0.5", "site=dark"): "failed",
    }


def test_the_first_node_that_answers_does_not_speak_for_all() -> None:
    members = [a_member(i, Stage.ORDERED) for i in (1, 2, 3)]
    slow = {i: on_trial(i, evidence=(evidence(ms=90),)) for i in (1, 2)}
    early = service_verdicts(gated("p95_ms<=50"), members, views_of(slow[1], on_trial(2), a_view(3)))
    assert early[0].outcome is Outcome.WAITING
    later_on = service_verdicts(gated("p95_ms<=50"), members, views_of(slow[1], slow[2], a_view(3)))
    assert later_on[0].outcome is Outcome.FAILED
