"""A candidate beside the current version: how it comes, what it watches, how it ends, and that nobody else notices."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_node.supervisor import shadow_steps as b
from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Actual, Failure, ShadowStanding
from edge_node.supervisor.plan import plan, without_clashes
from edge_node.supervisor.shadow_reported import shadow_reported
from edge_node.supervisor.shadowing import NEEDS_PIPELINE, NEEDS_PROCESS
from protos.desired import Desired, DesiredDeployment
from protos.evidence import ReportedShadow, Shadow
from tests.unit.supervisor import world
from tests.unit.supervisor.test_plan_properties import documents, states
from tests.unit.supervisor.world import FACTS, deployment, desired, digest, doable, refused, session, waits

CANDIDATE = 4
"""a version that the other tests know nothing of"""
TOLD = ReportedShadow("r1", 0, "on", since="now", left_out=7)


def shadow(version: int = CANDIDATE, **changes: object) -> Shadow:
    fields = {"rollout": "r1", "model": "m", "version": version, "digest": digest(version), "shifts": {"day": "6-18"}}
    return Shadow(**{**fields, **changes})  # type: ignore[arg-type]


def shadowed(**changes: object) -> DesiredDeployment:
    """The deployment of version 1 with version 2 beside it."""
    return deployment(1, shadow=shadow(2, **changes))


def _begin(actual: Actual, step: b.BeginShadow) -> Actual:
    assert step.session.digest in actual.verified, "every load is of bytes that were just hashed"
    stands = ShadowStanding(step.shadow, step.session, told=TOLD, tell_at=FACTS.now + 30)
    verified = actual.verified - {step.session.digest}
    return replace(actual, verified=verified, shadows={**actual.shadows, step.deployment: stands})


def _follow(actual: Actual, step: b.FollowPipelines) -> Actual:
    stands = replace(actual.shadows[step.deployment], follows=step.pipelines)
    return replace(actual, shadows={**actual.shadows, step.deployment: stands})


def _fail(actual: Actual, step: b.FailShadow) -> Actual:
    told = ReportedShadow("r1", 0, "failed", reason=step.reason)
    stands = ShadowStanding(step.shadow, failed=step.reason, told=told)
    return replace(actual, shadows={**actual.shadows, step.deployment: stands})


def _close(actual: Actual, step: b.CloseShadow) -> Actual:
    stands = replace(actual.shadows[step.deployment], session=None)
    return replace(actual, shadows={**actual.shadows, step.deployment: stands})


def _end(actual: Actual, step: b.EndShadow) -> Actual:
    return replace(actual, shadows={name: one for name, one in actual.shadows.items() if name != step.deployment})


EFFECTS: dict[type[s.Step], Callable[..., Actual]] = {
    b.BeginShadow: _begin,
    b.FollowPipelines: _follow,
    b.FailShadow: _fail,
    b.CloseShadow: _close,
    b.EndShadow: _end,
}


def applied(actual: Actual, step: s.Step) -> Actual:
    return EFFECTS[type(step)](actual, step) if type(step) in EFFECTS else world.applied(actual, step)


def settled(wanted: Desired, actual: Actual) -> tuple[Actual, list[s.Step]]:
    taken: list[s.Step] = []
    while steps := doable(wanted, actual):
        assert len(taken) < 200, f"the plan does not come to rest: {taken[-6:]}"
        actual = applied(actual, steps[0])
        taken.append(steps[0])
    return actual, taken


def running() -> Actual:
    """Version 1 serves."""
    return settled(desired(deployment()), Actual())[0]


def beside() -> Actual:
    """Version 1 serves, with version 2 beside it."""
    return settled(desired(shadowed()), running())[0]


def reported(actual: Actual, wanted: DesiredDeployment | None = None) -> ReportedShadow | None:
    target = wanted or shadowed()
    return shadow_reported(target, actual, plan(desired(target), actual, FACTS))


def test_a_candidate_comes_as_a_version_does_and_watches_what_runs() -> None:
    actual, steps = settled(desired(shadowed()), running())
    assert [type(step) for step in steps] == [s.Fetch, s.Verify, s.Prove, b.BeginShadow, b.FollowPipelines]
    assert {step.digest for step in steps if isinstance(step, s.BundleStep)} == {digest(2)}
    stands = actual.shadows["shelf"]
    assert stands.session == session(2)
    assert [one.settings.name for one in stands.follows] == ["shelf"]
    assert actual.sessions == {session(1)}
    assert reported(actual) == TOLD


def test_a_candidate_is_neither_promoted_nor_offered_nor_given_a_pipeline() -> None:
    actual = beside()
    assert {one.session for one in actual.pipelines.values()} == {session(1)}
    assert actual.last_good == {"shelf": msgspec.structs.replace(shadowed(), shadow=None)}
    assert not actual.offered


def test_without_a_shadow_in_the_document_it_ends_and_its_bundle_goes() -> None:
    actual, steps = settled(desired(deployment()), beside())
    assert [type(step) for step in steps] == [b.EndShadow, s.Remove]
    assert digest(2) not in actual.known
    assert actual.pipelines == beside().pipelines
    assert reported(actual, deployment()) is None


def test_the_bundle_stays_while_the_candidate_is_loaded_or_wanted() -> None:
    removed = {step.digest for step in plan(desired(deployment()), beside(), FACTS) if isinstance(step, s.Remove)}
    assert digest(2) not in removed
    failed, _ = settled(desired(shadowed()), refused(running(), 2, "agreement 0 against 1"))
    assert not [step for step in plan(desired(shadowed()), failed, FACTS) if isinstance(step, s.Remove)]


def test_a_deployment_that_goes_takes_its_shadow_along() -> None:
    actual, _ = settled(desired(), beside())
    assert not actual.shadows
    assert not actual.known


def test_another_candidate_attempt_or_budget_begins_anew() -> None:
    for wanted in (shadow(3), shadow(2, attempt=1), shadow(2, cpu=0.1)):
        actual, steps = settled(desired(deployment(1, shadow=wanted)), beside())
        assert isinstance(steps[0], b.EndShadow)
        assert actual.shadows["shelf"].shadow == wanted


def test_a_candidate_whose_vectors_disagree_has_failed_and_is_not_tried_again() -> None:
    actual, steps = settled(desired(shadowed()), refused(running(), 2, "agreement 0 against 1"))
    assert isinstance(steps[-1], b.FailShadow)
    told = reported(actual)
    assert told is not None
    assert (told.state, told.reason) == ("failed", "agreement 0 against 1")
    later = replace(FACTS, now=FACTS.now + 1e6)
    assert doable(desired(shadowed()), actual, later) == []


def test_a_candidate_that_dies_while_it_is_proven_has_failed() -> None:
    on_disk, _ = settled(desired(shadowed()), running())
    unproven = replace(on_disk, choices={k: v for k, v in on_disk.choices.items() if k[0] != digest(2)}, shadows={})
    unproven = replace(unproven, verified=frozenset({digest(2)}))
    died = replace(unproven, failures={s.bundle_subject(digest(2)): Failure("killed by SIGSEGV", 1, FACTS.now + 9)})
    assert doable(desired(shadowed()), unproven) == [s.Prove("shelf", digest(2), None)]
    (step,) = doable(desired(shadowed()), died)
    assert step == b.FailShadow("shelf", shadow(2), "killed by SIGSEGV")


def test_a_candidate_that_cannot_be_fetched_yet_is_waited_for() -> None:
    failure = Failure("the coordinator is away", 1, FACTS.now + 9)
    away = replace(running(), failures={s.bundle_subject(digest(2)): failure})
    (wait,) = waits(desired(shadowed()), away)
    assert (wait.deployment, wait.until, wait.failed) == ("shelf/shadow", FACTS.now + 9, False)
    told = reported(away)
    assert told is not None
    assert (told.state, told.reason) == ("pending", "the coordinator is away")


def test_a_candidate_that_this_node_refuses_has_failed() -> None:
    failure = Failure("needs 900 MB, 12 MB are free", 1, FACTS.now + 9, refused=True)
    full = replace(running(), failures={s.bundle_subject(digest(2)): failure})
    assert doable(desired(shadowed()), full) == [b.FailShadow("shelf", shadow(2), "needs 900 MB, 12 MB are free")]


def test_a_candidate_that_failed_is_closed_and_stays_failed() -> None:
    actual = beside()
    ended = replace(actual.shadows["shelf"], failed="killed by SIGSEGV", follows=())
    after, steps = settled(desired(shadowed()), replace(actual, shadows={"shelf": ended}))
    assert steps == [b.CloseShadow("shelf")]
    assert after.shadows["shelf"].session is None
    assert after.pipelines == actual.pipelines


def test_a_candidate_follows_when_the_worker_of_the_current_version_comes_back() -> None:
    actual = beside()
    dead = replace(actual, worker=False, sessions=frozenset(), pipelines={})
    assert b.FollowPipelines("shelf", ()) in doable(desired(shadowed()), dead)
    after, _ = settled(desired(shadowed()), _follow(dead, b.FollowPipelines("shelf", ())))
    assert after.shadows["shelf"].follows == tuple(after.pipelines.values())


def test_a_node_whose_models_run_in_threads_refuses_a_shadow_at_once() -> None:
    facts = replace(FACTS, processes=False)
    assert doable(desired(shadowed()), running(), facts) == [b.FailShadow("shelf", shadow(2), NEEDS_PROCESS)]


def test_a_deployment_without_a_pipeline_has_nothing_to_compare() -> None:
    target = deployment(1, pipelines=(), shadow=shadow(2))
    assert b.FailShadow("shelf", shadow(2), NEEDS_PIPELINE) in doable(desired(target), Actual())


def test_a_candidate_waits_until_the_current_version_runs() -> None:
    assert not [step for step in doable(desired(shadowed()), Actual()) if of_the_candidate(step, 2)]
    told = reported(Actual())
    assert told is not None
    assert (told.state, told.reason) == ("pending", "waits for the current version to run")
    actual, _ = settled(desired(shadowed()), Actual())
    assert actual.shadows["shelf"].session == session(2)


def test_what_is_measured_is_told_when_it_is_time() -> None:
    (wait,) = waits(desired(shadowed()), beside())
    assert (wait.deployment, wait.until) == ("shelf/shadow", FACTS.now + 30)


def of_the_candidate(step: s.Step, version: int = CANDIDATE) -> bool:
    """Whether a step is there for the candidate alone."""
    if isinstance(step, s.BundleStep):
        return step.digest == digest(version)
    return isinstance(step, b.ShadowStep) or step.deployment.endswith("/shadow")


STANDS = st.sampled_from(
    [
        ShadowStanding(shadow(), session(CANDIDATE), told=TOLD, tell_at=FACTS.now + 30),
        ShadowStanding(shadow(), session(CANDIDATE), failed="killed", told=TOLD),
        ShadowStanding(shadow(), failed="killed", told=TOLD),
        ShadowStanding(shadow(attempt=1), session(CANDIDATE), told=TOLD),
    ]
)


@given(documents, states(), st.data())
def test_what_serves_is_planned_as_if_there_were_no_shadow(
    wanted: Desired, actual: Actual, data: st.DataObject
) -> None:
    names = data.draw(st.frozensets(st.sampled_from(["shelf", "door"])))
    with_shadow = [
        msgspec.structs.replace(one, shadow=shadow() if one.name in names else None) for one in wanted.deployments
    ]
    stands = data.draw(st.dictionaries(st.sampled_from(["shelf", "door"]), STANDS))
    steps = plan(desired(*with_shadow), replace(actual, shadows=stands), FACTS)
    assert [step for step in steps if not of_the_candidate(step)] == list(plan(wanted, actual, FACTS))


@given(documents, states(), st.data())
def test_with_shadows_the_plan_comes_to_rest_in_any_order(wanted: Desired, actual: Actual, data: st.DataObject) -> None:
    targets, _ = without_clashes(wanted.deployments)
    document = desired(*(msgspec.structs.replace(one, shadow=shadow()) for one in wanted.deployments))
    later = replace(FACTS, now=FACTS.now + 1e5)
    for _ in range(200):
        steps = doable(document, actual, later)
        if not steps:
            break
        actual = applied(actual, data.draw(st.sampled_from(steps)))
    assert doable(document, actual, later) == []
    running = {one.deployment for one in actual.pipelines.values()}
    without_pipelines = {one.name for one in targets if not one.pipelines}
    assert actual.shadows.keys() == {one.name for one in targets} & (running | without_pipelines)
