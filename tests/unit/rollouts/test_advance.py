"""What comes next of a rollout."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from coordinator.rollouts.advance import advance
from coordinator.rollouts.records import Decision, Member, Rollout, View
from coordinator.rollouts.spec import Window
from coordinator.rollouts.states import ENDED, Stage, State
from protos.identity import NodeId
from tests.unit.rollouts.examples import (
    AFTER,
    BEFORE,
    a_member,
    a_rollout,
    a_shadow,
    a_spec,
    a_trial,
    a_view,
    after,
    by_node,
    evidence,
    later,
    node,
    on_trial,
    views_of,
)


def advanced(
    rollout: Rollout,
    members: tuple[Member, ...],
    *views: View,
    others: Mapping[NodeId, str] | None = None,
    at: float = 5,
) -> tuple[Decision, dict[NodeId, Member]]:
    """What is decided some seconds later, and the members then. Decided again, nothing changes."""
    known = by_node(members)
    decision = advance(rollout, known, views_of(*views), others or {}, later(at))
    then, now = after(rollout, known, decision)
    again = advance(then, now, views_of(*views), others or {}, later(at))
    assert (again.rollout, again.members, again.events) == (then, (), ())
    assert again.wake_at == decision.wake_at
    return decision, now


def running(**spec: Any) -> Rollout:
    """In its first wave."""
    return a_rollout(spec=a_spec(**spec))


def reasons(members: Mapping[NodeId, Member]) -> dict[int, str]:
    """By the node's number."""
    return {int(key, 16): member.reason for key, member in members.items()}


def stages(members: Mapping[NodeId, Member]) -> list[Stage]:
    """In the order of the nodes."""
    return [members[key].stage for key in sorted(members)]


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_stays_ended(state: State) -> None:
    rollout = a_rollout(state)
    assert advanced(rollout, (a_member(1, Stage.ORDERED),), a_view(1))[0] == Decision(rollout)


@pytest.mark.parametrize("state", [State.DRAFT, State.AWAITING_APPROVAL])
def test_before_it_begins_a_rollout_only_takes_its_nodes_in(state: State) -> None:
    decision, members = advanced(a_rollout(state, a_spec(canary="1")), (), a_view(1), a_view(2))
    assert decision.rollout.state is state
    assert sorted(member.wave for member in members.values()) == [0, 1]
    assert decision.wake_at is None


def test_a_rollout_begins_when_no_other_has_its_nodes() -> None:
    queued = a_rollout(State.QUEUED)
    decision, _ = advanced(queued, (a_member(1),), a_view(1), others={node(1): "door-4", node(9): "far-1"})
    assert (decision.rollout.state, decision.rollout.reason) == (State.QUEUED, "rollout door-4 has nodes of it")
    decision, members = advanced(queued, (a_member(1),), a_view(1))
    assert (decision.rollout.state, stages(members)) == (State.RUNNING, [Stage.ORDERED])
    assert [event.kind for event in decision.events] == ["state", "wave", "member"]


def test_no_more_start_than_the_cap_allows_and_the_others_say_why() -> None:
    decision, members = advanced(running(max_parallel="2"), tuple(map(a_member, range(5))), *map(a_view, range(5)))
    assert stages(members).count(Stage.ORDERED) == 2
    waiting = [member.reason for member in members.values() if member.stage is Stage.WAITING]
    assert waiting == ["waits for a place: 2 of 2 in flight"] * 3
    assert decision.wake_at == later(305)
    assert decision.events[-1].detail["cap"] == 2


def test_each_that_waits_says_what_for() -> None:
    spec = a_spec(canary="1", waves=("100%",), windows=(Window("22:00", "06:00"),), max_parallel="1")
    members = a_member(1), a_member(2, wave=1), a_member(3), a_member(4)
    views = a_view(1, timezone="Europe/Rome"), a_view(2), a_view(3), a_view(4, online=False)
    decision, now = advanced(a_rollout(spec=spec), members, *views, others={node(3): "door-4"})
    assert reasons(now) == {
        1: "outside its window until 22:00 Europe/Rome",
        2: "waits for wave 1",
        3: "rollout door-4 has it",
        4: "offline since 2026-05-01 10:00 UTC",
    }
    assert decision.wake_at == later(10 * 3600)


def test_a_node_starts_when_its_window_opens() -> None:
    rollout = running(windows=(Window("22:00", "06:00"),), progress_deadline_s=60.0)
    closed, _ = advanced(rollout, (a_member(1), a_member(2)), a_view(1), a_view(2), at=7200)
    assert (closed.rollout.state, closed.wake_at) == (State.RUNNING, later(12 * 3600))
    decision, members = advanced(rollout, (a_member(1),), a_view(1, timezone="Europe/Rome"), at=10 * 3600)
    assert stages(members) == [Stage.ORDERED]
    assert decision.rollout.progress_at == later(10 * 3600)


def test_wave_after_wave_and_then_it_is_completed() -> None:
    rollout, members = running(canary="1", waves=("50%", "100%")), ()
    decision, now = advanced(rollout, members, *map(a_view, range(4)))
    for wave in range(3):
        assert {m.wave for m in now.values() if m.stage is Stage.ORDERED} == {wave}
        views = [on_trial(i, "passed") if now[node(i)].wave <= wave else a_view(i) for i in range(4)]
        decision, now = advanced(decision.rollout, tuple(now.values()), *views)
    assert stages(now) == [Stage.HEALTHY] * 4
    assert decision.rollout.state is State.COMPLETED
    assert [e.detail["state"] for e in decision.events if e.kind == "state"] == ["promoting", "completed"]


def test_without_auto_promote_each_wave_waits_for_a_person_but_the_last_ends_by_itself() -> None:
    rollout = running(canary="1", auto_promote=False)
    members = a_member(1, Stage.HEALTHY), a_member(2, wave=1)
    decision, now = advanced(rollout, members, on_trial(1, "passed"), a_view(2), at=9999)
    assert (decision.rollout.state, decision.rollout.wave) == (State.RUNNING, 0)
    assert decision.rollout.reason == "wave 0 has passed; waits for promote"
    decision, now = advanced(replace(decision.rollout, promoted=0), members, on_trial(1, "passed"), a_view(2))
    assert (decision.rollout.wave, now[node(2)].stage) == (1, Stage.ORDERED)
    decision, _ = advanced(decision.rollout, tuple(now.values()), on_trial(1, "passed"), on_trial(2, "passed"))
    assert decision.rollout.state is State.COMPLETED


def test_promote_begins_the_next_wave_before_this_one_has_passed_but_completes_nothing_early() -> None:
    rollout = a_rollout(spec=a_spec(canary="1", gates=("p95_ms<=5",)), promoted=0)
    members = a_member(1, Stage.ORDERED), a_member(2, wave=1)
    decision, now = advanced(rollout, members, on_trial(1), a_view(2))
    assert (decision.rollout.wave, now[node(2)].stage) == (1, Stage.ORDERED)
    decision, _ = advanced(replace(decision.rollout, promoted=1), tuple(now.values()), on_trial(1), on_trial(2))
    assert decision.rollout.state is State.RUNNING


FAILURES = {
    "went back by itself: crash at frame 7": on_trial(1, "returned", reason="crash at frame 7"),
    "went back by itself: too slow": a_view(1, reason="too slow", trial=a_trial("returned")),
    "went back by itself: it does not say why": on_trial(1, "returned"),
    "no room on the disk": a_view(1, digest=AFTER, phase="failed", reason="no room on the disk", heard_at=later(1)),
    "the node does not say why": a_view(1, digest=AFTER, phase="failed", heard_at=later(1)),
}


@pytest.mark.parametrize("reason", FAILURES)
def test_a_node_that_failed_says_why_and_stops_the_rollout(reason: str) -> None:
    decision, now = advanced(running(), (a_member(1, Stage.ORDERED), a_member(2)), FAILURES[reason], a_view(2), at=60)
    assert (now[node(1)].stage, now[node(1)].reason) == (Stage.FAILED, reason)
    assert now[node(2)].stage is Stage.WAITING
    assert (decision.rollout.state, decision.rollout.resumes) == (State.FAILED, State.RUNNING)
    assert decision.rollout.reason == "1 of 2 nodes failed; 0 may"


def test_a_node_that_cannot_run_the_version_yet_has_a_minute_to_recover() -> None:
    said = a_view(1, digest=AFTER, phase="failed", reason="the registry does not answer", heard_at=later(1))
    decision, now = advanced(running(), (a_member(1, Stage.ORDERED),), said)
    assert (stages(now), decision.wake_at) == ([Stage.ORDERED], later(60))
    _, now = advanced(running(healthy_deadline_s=30.0), (a_member(1, Stage.ORDERED),), said, at=30)
    assert reasons(now)[1] == "the registry does not answer"


def test_what_a_node_said_before_its_order_says_nothing_of_it() -> None:
    old = a_view(1, digest=AFTER, phase="failed", trial=a_trial("returned", attempt=3))
    _, now = advanced(running(), (a_member(1, Stage.ORDERED, attempt=4),), old)
    assert stages(now) == [Stage.ORDERED]


def test_failures_that_are_allowed_do_not_stop_it() -> None:
    members = a_member(1, Stage.FAILED), a_member(2, Stage.ORDERED)
    decision, _ = advanced(running(max_failures="50%"), members, a_view(1), on_trial(2, "passed"))
    assert decision.rollout.state is State.COMPLETED


def test_a_healthy_node_may_still_go_back() -> None:
    members = a_member(1, Stage.HEALTHY), a_member(2, Stage.ORDERED)
    decision, now = advanced(running(), members, on_trial(1, "returned", reason="leak"), on_trial(2))
    assert (now[node(1)].stage, decision.rollout.state) == (Stage.FAILED, State.FAILED)


def test_with_auto_revert_nodes_get_the_version_before() -> None:
    members = a_member(1, Stage.ORDERED), a_member(2, Stage.HEALTHY), a_member(3), a_member(4, Stage.HEALTHY)
    views = on_trial(1, "returned"), on_trial(2, "passed"), a_view(3), on_trial(4, "passed")
    decision, now = advanced(running(auto_revert=True), members, *views)
    assert (decision.rollout.state, decision.rollout.resumes) == (State.REVERTING, State.REVERTED)
    assert stages(now) == [Stage.FAILED, Stage.REVERTING, Stage.WAITING, Stage.REVERTING]
    assert decision.wake_at == later(305)
    back = a_view(1), a_view(2, heard_at=later(6)), a_view(3), replace(views[3], online=False)
    decision, now = advanced(decision.rollout, tuple(now.values()), *back, at=7)
    assert (decision.rollout.state, decision.rollout.reason) == (State.REVERTED, "1 of 4 nodes failed; 0 may")
    assert stages(now) == [Stage.FAILED, Stage.REVERTED, Stage.WAITING, Stage.REVERTING]
    assert now[node(4)].reason == "offline since 2026-05-01 10:00 UTC; goes back when it returns"


def test_what_does_not_go_back_in_time_is_a_failure() -> None:
    reverting = a_rollout(State.REVERTING, resumes=State.ABORTED)
    decision, now = advanced(reverting, (a_member(1, Stage.REVERTING),), on_trial(1, "passed"), at=300)
    assert (decision.rollout.state, stages(now)) == (State.FAILED, [Stage.REVERTING])
    assert decision.rollout.reason == "not gone back within 5m: 1 node"


def test_nothing_is_reverted_to_the_version_that_failed() -> None:
    rollout = replace(running(auto_revert=True), before_digest=AFTER)
    assert advanced(rollout, (a_member(1, Stage.FAILED),), a_view(1))[0].rollout.state is State.FAILED


LATE = {
    "silent": (a_view(1), Stage.FAILED, "not healthy within 5m; running"),
    "stuck": (a_view(1, digest=AFTER, phase="pending", reason="loading"), Stage.FAILED, "within 5m; pending: loading"),
    "gone": (a_view(1, online=False), Stage.ABSENT, "offline since 2026-05-01 10:00 UTC"),
    "never there": (a_view(1, online=False, heard_at=None), Stage.ABSENT, "never seen"),
    "died of it": (a_view(1, online=False, digest=AFTER, heard_at=later(9), phase="pending"), Stage.FAILED, "pending"),
}


@pytest.mark.parametrize("case", LATE)
def test_a_node_that_is_late_has_failed_unless_it_never_took_its_order_up(case: str) -> None:
    view, stage, reason = LATE[case]
    member = a_member(1, Stage.ORDERED)
    assert stages(advanced(running(), (member,), view, at=299)[1]) == [Stage.ORDERED]
    _, now = advanced(running(), (member,), view, at=300)
    assert now[node(1)].stage is stage
    assert reason in now[node(1)].reason


def test_a_node_that_returns_waits_for_a_place_and_gets_a_new_attempt() -> None:
    members = a_member(1, Stage.ORDERED), a_member(2, Stage.ORDERED)
    gone, there = a_view(1, online=False), on_trial(2, "passed")
    _, now = advanced(running(max_failures="1"), members, gone, replace(there, trial=a_trial()), at=301)
    assert stages(now) == [Stage.ABSENT, Stage.FAILED]
    _, now = advanced(running(max_failures="1"), tuple(now.values()), a_view(1), a_view(2), at=302)
    assert (now[node(1)].stage, now[node(1)].attempt) == (Stage.ORDERED, 1)


def test_nodes_that_are_not_there_do_not_keep_it_from_completing_but_prove_nothing() -> None:
    members = a_member(1), a_member(2, Stage.HEALTHY)
    absent = a_view(1, online=False)
    decision, now = advanced(running(), members, absent, on_trial(2, "passed"))
    assert (decision.rollout.state, now[node(1)].stage) == (State.COMPLETED, Stage.ABSENT)
    decision, _ = advanced(running(), members[:1], absent)
    assert (decision.rollout.state, decision.rollout.reason) == (State.RUNNING, "no node of the waves so far is there")
    decision, _ = advanced(running(), members[:1], absent, at=3600)
    assert decision.rollout.state is State.FAILED
    assert decision.rollout.reason == "no progress within 1h: no node of the waves so far is there"


def test_without_any_node_it_is_completed() -> None:
    assert advanced(running(), ())[0].rollout.state is State.COMPLETED


def test_a_node_that_leaves_counts_no_more_and_one_that_comes_back_starts_anew() -> None:
    members = a_member(1, Stage.ORDERED), a_member(2, Stage.ORDERED), a_member(3, Stage.FAILED)
    rollout = running(max_parallel="2", max_failures="1")
    _, now = advanced(rollout, members, on_trial(2), a_view(3))
    assert (now[node(1)].stage, now[node(1)].attempt) == (Stage.LEFT, 1)
    _, now = advanced(rollout, tuple(now.values()), a_view(1), on_trial(2), a_view(3))
    assert (now[node(1)].stage, now[node(1)].attempt) == (Stage.ORDERED, 1)


def test_a_node_that_appears_later_starts_at_once_where_its_wave_has_begun() -> None:
    _, now = advanced(running(), (a_member(1, Stage.HEALTHY),), on_trial(1, "passed"), a_view(2))
    assert now[node(2)].stage is Stage.ORDERED


def test_a_wave_whose_nodes_have_all_left_is_passed_without_a_person() -> None:
    rollout = running(canary="1", waves=("50%", "100%"), auto_promote=False, gates=("p95_ms<=50",))
    rollout = replace(rollout, wave=1, promoted=0)
    members = a_member(1, Stage.HEALTHY), a_member(2, Stage.LEFT, 1), a_member(3, wave=2)
    decision, now = advanced(rollout, members, on_trial(1, "passed"), a_view(3))
    assert (decision.rollout.wave, now[node(3)].stage) == (2, Stage.ORDERED)


FAST, SLOW = (evidence(),), (evidence(ms=90),)


def test_a_gate_that_fails_stops_it_with_its_numbers() -> None:
    rollout = running(gates=("p95_ms<=50", "error_rate<=0.1"))
    members = a_member(1, Stage.ORDERED), a_member(2)
    decision, _ = advanced(rollout, members, on_trial(1, evidence=SLOW), a_view(2))
    assert decision.rollout.state is State.FAILED
    assert decision.rollout.reason.startswith(
        "p95_ms<=50 failed: 95th percentile of latency in ms (DDSketch, ±2 %) is 9"
    )
    (gate,) = [event for event in decision.events if event.kind == "gate"]
    assert gate.detail["samples"] == 1000
    assert (gate.detail["bound"], gate.detail["outcome"], gate.detail["wave"]) == (50, "failed", 0)


def test_two_gates_that_fail_are_both_told() -> None:
    rollout = running(gates=("p95_ms<=50", "p50_ms<=50"))
    decision, _ = advanced(rollout, (a_member(1, Stage.ORDERED),), on_trial(1, evidence=SLOW))
    assert decision.rollout.reason.endswith("; and 1 more")


def test_a_wave_waits_for_its_gates_samples_until_the_progress_deadline() -> None:
    rollout, few = running(gates=("p95_ms<=50",)), (evidence(10),)
    member = a_member(1, Stage.HEALTHY)
    decision, _ = advanced(rollout, (member,), on_trial(1, "passed", evidence=few))
    assert (decision.rollout.state, decision.rollout.reason) == (State.RUNNING, "waits for samples: p95_ms<=50")
    assert decision.wake_at == later(3600)
    decision, _ = advanced(rollout, (member,), on_trial(1, "passed", evidence=few), at=3600)
    assert decision.rollout.reason == "no progress within 1h: waits for samples: p95_ms<=50"
    decision, _ = advanced(rollout, (member,), on_trial(1, "passed", evidence=FAST))
    assert decision.rollout.state is State.COMPLETED


def test_an_earlier_wave_that_gets_worse_stops_it_unless_a_person_let_it_pass() -> None:
    rollout = replace(running(canary="1", gates=("p95_ms<=50",)), wave=1)
    members = a_member(1, Stage.HEALTHY), a_member(2, Stage.ORDERED, 1)
    views = on_trial(1, "passed", evidence=SLOW), on_trial(2, evidence=FAST)
    assert advanced(rollout, members, *views)[0].rollout.state is State.FAILED
    assert advanced(replace(rollout, promoted=0), members, *views)[0].rollout.state is State.RUNNING


@pytest.mark.parametrize("state", [State.PAUSED, State.FAILED])
def test_after_a_stop_those_in_flight_settle_and_nobody_starts(state: State) -> None:
    rollout = a_rollout(state, a_spec(max_parallel="1"), resumes=State.RUNNING)
    members = a_member(1, Stage.ORDERED), a_member(2)
    decision, now = advanced(rollout, members, on_trial(1, "passed"), a_view(2))
    assert (decision.rollout.state, stages(now)) == (state, [Stage.HEALTHY, Stage.WAITING])
    _, now = advanced(rollout, members, on_trial(1), a_view(2), at=301)
    assert stages(now) == [Stage.FAILED, Stage.WAITING]


def shadow_rollout(**spec: Any) -> Rollout:
    """Its canary shadows for a minute."""
    return a_rollout(State.SHADOWING, a_spec(canary="1", shadow_s=60.0, **spec), wave_since=None)


def test_the_candidate_runs_in_the_shadow_of_the_canary_first() -> None:
    queued = replace(shadow_rollout(), state=State.QUEUED)
    decision, now = advanced(queued, (a_member(1), a_member(2, wave=1)), a_view(1), a_view(2))
    assert decision.rollout.state is State.SHADOWING
    assert (stages(now), reasons(now)[2]) == ([Stage.SHADOWING, Stage.WAITING], "waits for wave 1")
    assert decision.wake_at == later(65)
    _, now = advanced(queued, (a_member(1), a_member(3)), a_view(1, online=False), a_view(3), others={node(3): "b-1"})
    assert stages(now) == [Stage.WAITING, Stage.WAITING]


def test_the_first_wave_begins_when_the_shadow_has_lasted_and_its_gates_pass() -> None:
    rollout, member = shadow_rollout(gates=("agreement>=0.9",)), a_member(1, Stage.SHADOWING)
    good = a_view(1, shadow=a_shadow(evidence=(evidence(compared=500, agreed=490),)))
    decision, _ = advanced(rollout, (member,), good, at=59)
    assert (decision.rollout.state, decision.rollout.reason) == (State.SHADOWING, "the shadow lasts 1m")
    decision, now = advanced(rollout, (member,), good, at=60)
    assert (decision.rollout.state, stages(now)) == (State.RUNNING, [Stage.ORDERED])
    assert [event.detail["value"] for event in decision.events if event.kind == "gate"] == [0.98]


def test_a_candidate_that_disagrees_never_serves() -> None:
    rollout, member = shadow_rollout(gates=("agreement>=0.9",)), a_member(1, Stage.SHADOWING)
    bad = a_view(1, shadow=a_shadow(evidence=(evidence(compared=500, agreed=90),)))
    decision, now = advanced(rollout, (member,), bad, at=6)
    assert (decision.rollout.state, decision.rollout.resumes) == (State.FAILED, State.SHADOWING)
    assert stages(now) == [Stage.WAITING]
    reverting, now = advanced(replace(rollout, spec=a_spec(auto_revert=True, gates=rollout.spec.gates)), (member,), bad)
    assert (reverting.rollout.state, stages(now)) == (State.REVERTED, [Stage.WAITING])


def test_a_shadow_that_fails_on_a_node_is_a_failure() -> None:
    for said, reason in ((a_shadow("failed", reason="no memory"), "no memory"), (a_shadow("failed"), "why")):
        decision, now = advanced(shadow_rollout(), (a_member(1, Stage.SHADOWING),), a_view(1, shadow=said))
        assert (decision.rollout.state, now[node(1)].stage) == (State.FAILED, Stage.FAILED)
        assert reason in now[node(1)].reason
    _, now = advanced(shadow_rollout(), (a_member(1, Stage.SHADOWING),), a_view(1, shadow=a_shadow("failed", 7)))
    assert stages(now) == [Stage.SHADOWING]


def test_a_shadow_that_brings_nothing_waits_and_fails_at_the_progress_deadline() -> None:
    member = a_member(1, Stage.SHADOWING)
    decision, _ = advanced(shadow_rollout(), (member,), a_view(1, shadow=a_shadow("pending")), at=61)
    assert (decision.rollout.state, decision.rollout.reason) == (State.SHADOWING, "the shadow waits for samples")
    decision, _ = advanced(shadow_rollout(), (member,), a_view(1, digest=BEFORE), at=3660)
    assert decision.rollout.state is State.FAILED
    assert decision.rollout.reason == "the shadow has brought too little within 1h of its end"


def test_in_the_shadow_nobody_new_begins_where_everybody_has() -> None:
    decision, _ = advanced(shadow_rollout(), (a_member(1, Stage.SHADOWING),), a_view(1, shadow=a_shadow()))
    assert decision.events == ()
