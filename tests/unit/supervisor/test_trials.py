"""Versions on trial: judged, promoted or sent back, reported; from any state."""

from dataclasses import replace
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Actual, Facts, Failure
from edge_node.supervisor.intent import sent_back
from edge_node.supervisor.measuring import Measured
from edge_node.supervisor.plan import plan
from edge_node.supervisor.trials import Telling, is_news, pause_s, shifts_now, trial_reported
from edge_node.supervisor.verdict import Verdict, counts
from edge_node.supervisor.verdict import settled as kept
from edge_node.supervisor.verdicts import VerdictFile
from edge_node.supervisor.watch import PROBATION_S, Vitals
from edge_node.telemetry.shifts import shift_of
from protos.desired import Desired
from protos.evidence import Evidence, ReportedTrial, Trial
from tests.unit.supervisor.test_plan_properties import documents, states
from tests.unit.supervisor.world import (
    FACTS,
    applied,
    deployment,
    desired,
    digest,
    doable,
    failed,
    refused,
    session,
    settled,
    waits,
)

TRIAL = Trial("r1", healthy_s=60.0)
LATER = replace(FACTS, now=FACTS.now + 60.0)
BAD = Vitals(digest(2), restarts=2)


def good() -> Actual:
    """Version 1 serves and is the last good one."""
    return settled(desired(deployment(1)), Actual())[0]


def on_trial(trial: Trial | None = TRIAL, **changes: str) -> tuple[Desired, Actual]:
    """Version 2 serves on trial."""
    wanted = desired(deployment(2, trial=trial, **changes))
    return wanted, settled(wanted, good())[0]


def state_of(actual: Actual) -> str:
    return actual.verdicts["shelf"].state


def test_a_version_on_trial_passes_and_is_not_promoted() -> None:
    wanted, actual = on_trial()
    assert state_of(actual) == "on"
    passed, taken = settled(wanted, actual, LATER)
    assert [type(step) for step in taken] == [s.Judge]
    assert state_of(passed) == "passed"
    assert passed.last_good["shelf"].version == 1
    much_later = replace(FACTS, now=FACTS.now + 10**6)
    assert settled(wanted, passed, much_later)[0].last_good["shelf"].version == 1
    assert digest(1) in passed.known


def test_a_version_that_has_passed_is_promoted_at_once_by_a_document_without_the_trial() -> None:
    wanted, actual = on_trial()
    passed, _ = settled(wanted, actual, LATER)
    done, taken = settled(desired(deployment(2)), passed, LATER)
    assert [type(step) for step in taken] == [s.Promote, s.Judge, s.Remove]
    assert done.last_good["shelf"] == deployment(2)
    assert done.verdicts == {}


def test_a_trial_that_ends_before_the_version_has_passed_leaves_its_probation() -> None:
    _, actual = on_trial()
    after, _ = settled(desired(deployment(2)), actual)
    assert after.last_good["shelf"].version == 1
    ended = replace(FACTS, now=FACTS.now + PROBATION_S)
    assert settled(desired(deployment(2)), after, ended)[0].last_good["shelf"].version == 2


def test_the_first_version_of_a_deployment_on_trial_is_not_promoted_either() -> None:
    wanted = desired(deployment(2, trial=TRIAL))
    actual, _ = settled(wanted, Actual())
    assert actual.last_good == {}
    bad = replace(actual, vitals={"shelf": BAD})
    assert settled(wanted, bad)[0].pipelines["shelf"].session == session(2), "there is nothing better"
    assert state_of(settled(wanted, actual, LATER)[0]) == "passed"


def test_a_fault_sends_a_version_back_also_after_it_has_passed_and_also_without_a_trial() -> None:
    for trial, at in ((TRIAL, FACTS), (TRIAL, LATER), (None, FACTS)):
        wanted, actual = on_trial(trial)
        actual, _ = settled(wanted, actual, at)
        back, _ = settled(wanted, replace(actual, vitals={"shelf": BAD}), at)
        assert back.pipelines["shelf"].session == session(1)
        assert session(2) not in back.sessions
        (wait,) = waits(wanted, back, at)
        assert (wait.reason, wait.failed) == ("the worker died of it 2 times (at most 1)", True)


def test_a_fault_of_another_version_is_none_of_this_one() -> None:
    wanted, actual = on_trial()
    assert doable(wanted, replace(actual, vitals={"shelf": replace(BAD, digest=digest(1))})) == []


def test_with_stop_first_a_version_that_fails_after_it_was_loaded_leaves_before_the_last_good_one_comes() -> None:
    wanted, actual = on_trial(strategy="stop_first")
    assert actual.sessions == {session(2)}
    back, taken = settled(wanted, replace(actual, vitals={"shelf": BAD}))
    order = [type(step) for step in taken]
    assert order.index(s.StopPipeline) < order.index(s.Unload) < order.index(s.Load) < order.index(s.StartPipeline)
    assert back.pipelines["shelf"].session == session(1)


def test_with_stop_first_nothing_runs_on_the_failing_version_while_the_last_good_one_is_awaited() -> None:
    wanted, actual = on_trial(strategy="stop_first")
    judged = applied(replace(actual, vitals={"shelf": BAD}), doable(wanted, replace(actual, vitals={"shelf": BAD}))[0])
    reasons = [wait.reason for wait in waits(wanted, judged)]
    assert reasons[0] == "the worker died of it 2 times (at most 1)"


def test_a_version_whose_golden_vectors_disagree_is_sent_back_at_once() -> None:
    wanted = desired(deployment(2, trial=TRIAL))
    actual, _ = settled(wanted, refused(good(), 2, "agreement 0.5 against 1"))
    assert actual.verdicts["shelf"] == Verdict(digest(2), 0, "returned", "agreement 0.5 against 1")


def test_a_version_that_kills_its_proof_or_its_load_again_is_sent_back_and_one_that_cannot_come_is_not() -> None:
    wanted = desired(deployment(2, trial=TRIAL))
    actual = good()
    back_from: set[type[s.Step]] = set()
    while step := next((one for one in doable(wanted, actual) if not isinstance(one, s.Judge)), None):
        for judge in [one for one in doable(wanted, actual) if isinstance(one, s.Judge)]:
            actual = applied(actual, judge)
        twice = failed(failed(actual, step, FACTS, "SIGSEGV"), step, LATER, "SIGSEGV")
        judged = [one for one in doable(wanted, twice, LATER) if isinstance(one, s.Judge)]
        if [one for one in judged if one.verdict is not None and one.verdict.state == "returned"]:
            back_from.add(type(step))
        actual = applied(actual, step)
    assert back_from == {s.Prove, s.Load}


def test_a_rising_attempt_has_it_tried_again_and_forgives_what_it_failed_of() -> None:
    wanted = desired(deployment(2, trial=TRIAL))
    actual, _ = settled(wanted, refused(good(), 2, "agreement 0.5 against 1"))
    failures = {s.session_subject(session(2)): Failure("no", 5, FACTS.now + 300.0)}
    again = desired(deployment(2, trial=msgspec.structs.replace(TRIAL, attempt=1)))
    tried, _ = settled(again, replace(actual, failures=failures))
    assert tried.pipelines["shelf"].session == session(2)
    assert tried.verdicts["shelf"] == Verdict(digest(2), 1, "on")


def test_another_version_or_the_one_before_forgets_the_verdict() -> None:
    wanted, actual = on_trial()
    back, _ = settled(wanted, replace(actual, vitals={"shelf": BAD}))
    back = replace(back, vitals={})
    assert settled(desired(deployment(1)), back)[0].verdicts == {}
    third, _ = settled(desired(deployment(3, trial=TRIAL)), back)
    assert third.verdicts["shelf"].digest == digest(3)
    assert settled(desired(), back)[0].verdicts == {}


def test_a_returned_version_without_anything_to_go_back_to_is_not_run_either() -> None:
    """last_good.json was lost."""
    wanted = desired(deployment(2))
    lost = Actual(verdicts={"shelf": Verdict(digest(2), 0, "returned", "why")})
    steps = plan(wanted, lost, FACTS)
    assert not [step for step in steps if isinstance(step, s.Load | s.Fetch)]


def test_a_verdict_counts_for_its_version_and_attempt() -> None:
    verdict = Verdict(digest(2), 1, "returned")
    assert counts(verdict, deployment(2))
    assert counts(verdict, deployment(2, trial=Trial("r", attempt=1)))
    assert not counts(verdict, deployment(2, trial=Trial("r", attempt=2)))
    assert not counts(verdict, deployment(1))
    assert not counts(None, deployment(2))
    assert kept(deployment(2, trial=TRIAL)) == deployment(2)


def test_verdicts_outlive_the_agent_and_what_is_on_trial_accounts_for_each_start(tmp_path: Path) -> None:
    file = VerdictFile(tmp_path / "verdicts.json")
    assert file.start() == {}
    file.save({"a": Verdict(digest(1), 0, "on"), "b": Verdict(digest(2), 3, "returned", "why")})
    file.start()
    assert VerdictFile(tmp_path / "verdicts.json").start() == {
        "a": Verdict(digest(1), 0, "on", starts=2),
        "b": Verdict(digest(2), 3, "returned", "why"),
    }
    (tmp_path / "verdicts.json").write_bytes(b"[")
    assert file.load() == {}


def test_what_ends_the_agent_again_and_again_is_sent_back() -> None:
    wanted, actual = on_trial()
    often = {"shelf": Verdict(digest(2), 0, "on", starts=4)}
    assert settled(wanted, replace(actual, verdicts=often))[0].pipelines["shelf"].session == session(1)


vitals = st.dictionaries(
    st.sampled_from(("shelf", "door")),
    st.builds(Vitals, digest=st.sampled_from([digest(v) for v in (1, 2, 3)]), restarts=st.integers(0, 3)),
)
verdicts = st.dictionaries(
    st.sampled_from(("shelf", "door")),
    st.builds(
        Verdict,
        digest=st.sampled_from([digest(v) for v in (1, 2, 3)]),
        attempt=st.integers(0, 2),
        state=st.sampled_from(("on", "passed", "returned")),
    ),
)
trials = st.none() | st.builds(Trial, rollout=st.just("r1"), attempt=st.integers(0, 2))


@given(documents, states(), verdicts, vitals, st.lists(trials, min_size=2, max_size=2), st.data())
def test_once_sent_back_a_version_stays_so_and_is_not_gone_for_again(
    wanted: Desired,
    actual: Actual,
    judged: dict[str, Verdict],
    doing: dict[str, Vitals],
    tried: list[Trial | None],
    data: st.DataObject,
) -> None:
    targets = [msgspec.structs.replace(one, trial=tried[at]) for at, one in enumerate(wanted.deployments)]
    wanted, actual = desired(*targets), replace(actual, verdicts=judged, vitals=doing)
    back = {one.name for one in targets if sent_back(one, actual)}
    for _ in range(40):
        steps = doable(wanted, actual, LATER)
        for one in [target for target in targets if target.name in back]:
            mine = [step for step in steps if step.deployment == one.name]
            ahead = [step for step in mine if isinstance(step, s.Fetch | s.Verify | s.Prove)]
            loads = [step.session for step in mine if isinstance(step, s.Load | s.PipelineStep | s.Offer)]
            assert one.digest not in {step.digest for step in ahead} | {loaded.digest for loaded in loads}
            assert actual.verdicts[one.name].state == "returned"
            assert not [step for step in mine if isinstance(step, s.Promote)]
        if not steps:
            break
        actual = applied(actual, data.draw(st.sampled_from(steps)))


@given(documents, states(), st.lists(trials, min_size=2, max_size=2))
def test_without_a_fault_nothing_is_sent_back(wanted: Desired, actual: Actual, tried: list[Trial | None]) -> None:
    targets = [msgspec.structs.replace(one, trial=tried[at]) for at, one in enumerate(wanted.deployments)]
    actual = replace(actual, failures={}, choices={})
    for step in doable(desired(*targets), actual, LATER):
        assert not (isinstance(step, s.Judge) and step.verdict is not None and step.verdict.state == "returned")


MEASURED = Measured("2026-01-01T00:00:00Z", 1, 80.0, (Evidence("shelf", samples=9),), (Evidence("shelf", samples=7),))


def test_a_trial_is_reported_with_its_evidence_from_when_it_serves() -> None:
    wanted, actual = on_trial()
    target = wanted.deployments[0]
    assert trial_reported(target, actual, MEASURED) == ReportedTrial(
        "r1", 0, "on", MEASURED.since, "", 1, 80.0, "", MEASURED.evidence, MEASURED.reference
    )
    assert trial_reported(target, good(), None) is None
    assert trial_reported(deployment(2), actual, MEASURED) is None
    back, _ = settled(wanted, replace(actual, vitals={"shelf": BAD}))
    said = trial_reported(target, back, MEASURED)
    assert said is not None
    assert (said.state, said.reason) == ("returned", "the worker died of it 2 times (at most 1)")


def test_counts_are_said_again_after_a_pause_and_news_at_once() -> None:
    now = [0.0]
    telling = Telling(lambda: now[0], lambda: 0.0)
    target = deployment(2, trial=TRIAL)
    first = ReportedTrial("r1", 0, "on", evidence=(Evidence(samples=1),))
    more = msgspec.structs.replace(first, evidence=(Evidence(samples=2),), memory_mb=5.0)
    assert telling.told(target, first) is first
    assert telling.told(target, more) is first
    assert not is_news(first, more)
    passed = msgspec.structs.replace(more, state="passed")
    assert telling.told(target, passed) is passed
    now[0] = TRIAL.report_s
    again = msgspec.structs.replace(passed, evidence=(Evidence(samples=3),))
    assert telling.told(target, again) is again
    assert telling.told(deployment(2), None) is None
    assert telling.told(target, more) is more, "nothing is remembered of a trial that has ended"


def test_pauses_are_spread_over_a_quarter() -> None:
    assert (pause_s(TRIAL, 0.0), pause_s(TRIAL, 1.0)) == (30.0, 22.5)
    assert pause_s(Trial("r", report_s=0.0), 0.0) == 1.0


def test_shifts_are_of_the_nodes_own_day_and_may_pass_midnight() -> None:
    shifts = {"day": "06:00-14:00", "night": "22:00-06:00", "wrong": "noon"}
    hours = {hour: shift_of(shifts, hour * 60) for hour in (0, 5, 6, 13, 14, 22, 23)}
    assert hours == {0: "night", 5: "night", 6: "day", 13: "day", 14: "", 22: "night", 23: "night"}
    assert shift_of({"all": "00:00-00:00"}, 700) == "all"
    tried = deployment(2, trial=Trial("r", shifts=shifts))
    assert shifts_now(desired(tried, deployment(1, "door")), 23 * 60) == {"shelf": "night"}
    assert shifts_now(None, 0) == {}


def test_a_later_look_is_planned_while_a_trial_lasts() -> None:
    wanted, actual = on_trial()
    passed, _ = settled(wanted, actual, LATER)
    (wait,) = waits(wanted, passed, LATER)
    assert wait.reason == "version 2 serves; on trial in rollout r1"
    assert wait.until is not None
    assert Facts(now=0.0).now < wait.until
