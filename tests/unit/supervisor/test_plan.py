"""The plan: what it does in the situations that matter."""

from dataclasses import replace

from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Actual
from edge_node.supervisor.index import index_of
from edge_node.supervisor.offering import FORBIDDEN
from edge_node.supervisor.plan import plan
from edge_node.supervisor.probation import LOOK_S
from edge_node.supervisor.reported import phase_of
from edge_node.supervisor.watch import PROBATION_S
from protos.deployment import Pipeline, Serving
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

LATER = replace(FACTS, now=FACTS.now + PROBATION_S)


def running(version: int = 1) -> Actual:
    """A node on which a version serves and has passed its probation."""
    wanted = desired(deployment(version))
    serving, _ = settled(wanted, Actual())
    good, _ = settled(wanted, serving, LATER)
    return good


def kinds(steps: list[s.Step]) -> list[type]:
    return [type(step) for step in steps]


def test_without_a_desired_document_nothing_is_done_and_nothing_thrown_away() -> None:
    assert plan(None, Actual(known=frozenset({digest(1)})), FACTS) == ()


def test_a_version_is_fetched_verified_proven_loaded_and_started() -> None:
    actual, taken = settled(desired(deployment()), Actual())
    assert kinds(taken) == [
        s.Fetch, s.Verify, s.Prove, s.StartWorker, s.Load, s.StartCapture, s.StartPipeline, s.Promote,
    ]  # fmt: skip
    assert actual.pipelines["shelf"].session == session(1)


def test_a_version_on_probation_says_so_and_is_promoted_in_time() -> None:
    actual, _ = settled(desired(deployment(2)), running(1))
    (wait,) = waits(desired(deployment(2)), actual)
    assert wait.until == FACTS.now + LOOK_S
    ending = replace(FACTS, now=FACTS.now + PROBATION_S - LOOK_S / 2)
    assert waits(desired(deployment(2)), actual, ending)[0].until == FACTS.now + PROBATION_S
    assert kinds(doable(desired(deployment(2)), actual, LATER)) == [s.Promote]


def test_the_first_version_of_a_deployment_is_the_one_to_fall_back_on_at_once() -> None:
    actual, _ = settled(desired(deployment(1)), Actual())
    assert actual.last_good["shelf"].version == 1


def test_a_new_version_is_warmed_beside_the_running_one_and_switched() -> None:
    actual, taken = settled(desired(deployment(2)), running(1))
    assert kinds(taken) == [s.Fetch, s.Judge, s.Verify, s.Prove, s.Load, s.Switch, s.Unload]
    assert actual.pipelines["shelf"].session == session(2)
    assert digest(1) in actual.known, "the last good version stays until the new one has passed its probation"
    later, taken = settled(desired(deployment(2)), actual, LATER)
    assert kinds(taken) == [s.Promote, s.Judge, s.Remove]
    assert later.verdicts == {}, "nothing is to be said of the last good version"
    assert later.known == {digest(2)}


def test_with_stop_first_the_old_version_goes_before_the_new_one_is_proven() -> None:
    wanted = desired(deployment(2, strategy="stop_first"))
    _, taken = settled(wanted, running(1))
    order = kinds(taken)
    assert order.index(s.Verify) < order.index(s.StopPipeline) < order.index(s.Unload) < order.index(s.Prove)
    assert order.index(s.Prove) < order.index(s.Load) < order.index(s.StartPipeline)


def test_with_stop_first_the_old_version_comes_back_when_the_new_one_cannot_be_loaded() -> None:
    wanted = desired(deployment(2, strategy="stop_first"))
    actual = running(1)
    while not any(isinstance(step, s.Load) for step in doable(wanted, actual)):
        actual = applied(actual, doable(wanted, actual)[0])
    (load,) = [step for step in doable(wanted, actual) if isinstance(step, s.Load)]
    back, _ = settled(wanted, failed(actual, load, FACTS))
    assert back.pipelines["shelf"].session == session(1)


def test_a_version_that_disagrees_never_serves_and_the_running_one_goes_on() -> None:
    wanted = desired(deployment(2))
    actual = refused(running(1), 2, "agreement 0.5 against 1.0")
    after, taken = settled(wanted, actual)
    assert kinds(taken) == [s.Fetch, s.Judge, s.Judge]
    assert after.verdicts["shelf"].state == "returned"
    assert after.pipelines["shelf"].session == session(1)
    assert [(wait.reason, wait.failed) for wait in waits(wanted, after)] == [("agreement 0.5 against 1.0", True)]


def test_a_restarted_node_whose_new_version_is_refused_loads_the_last_good_one() -> None:
    wanted = desired(deployment(2))
    refused_one = refused(running(1), 2, "disagrees")
    restarted = replace(refused_one, worker=False, sessions=frozenset(), pipelines={}, captures=frozenset())
    actual, _ = settled(wanted, restarted)
    assert actual.pipelines["shelf"].session == session(1)


def test_a_restarted_node_without_a_coordinator_runs_what_it_had() -> None:
    alone = replace(FACTS, coordinator=False)
    restarted = replace(running(1), worker=False, sessions=frozenset(), pipelines={}, captures=frozenset())
    actual, taken = settled(desired(deployment(1)), restarted, alone)
    assert kinds(taken) == [s.Verify, s.StartWorker, s.Load, s.StartCapture, s.StartPipeline]
    assert actual.pipelines["shelf"].session == session(1)


def test_while_a_new_version_cannot_be_fetched_a_restarted_node_runs_the_last_good_one() -> None:
    alone = replace(FACTS, coordinator=False)
    restarted = replace(running(1), worker=False, sessions=frozenset(), pipelines={}, captures=frozenset())
    actual, _ = settled(desired(deployment(2)), restarted, alone)
    assert actual.pipelines["shelf"].session == session(1)
    assert "no coordinator" in waits(desired(deployment(2)), actual, alone)[0].reason


def test_what_serves_stays_while_another_is_on_its_way_even_where_it_is_not_the_last_good_version() -> None:
    on_probation, _ = settled(desired(deployment(2)), running(1))
    alone = replace(FACTS, coordinator=False)
    actual, _ = settled(desired(deployment(3)), on_probation, alone)
    assert actual.pipelines["shelf"].session == session(2)
    assert digest(2) in actual.known


def test_a_version_that_is_refused_while_another_is_on_probation_leaves_the_last_good_one() -> None:
    on_probation, _ = settled(desired(deployment(2)), running(1))
    actual, _ = settled(desired(deployment(3)), refused(on_probation, 3, "disagrees"))
    assert actual.pipelines["shelf"].session == session(1)


def test_a_source_that_the_node_does_not_have_is_named_with_those_it_has() -> None:
    wanted = desired(deployment(pipelines=(Pipeline(name="yard", source="yard"),)))
    actual, _ = settled(wanted, Actual())
    (wait,) = waits(wanted, actual)
    assert wait.failed
    assert "no source 'yard'" in wait.reason
    assert "door, shelf" in wait.reason


def test_one_unknown_source_does_not_hold_back_the_other_pipelines() -> None:
    pipelines = (Pipeline(name="yard", source="yard"), Pipeline(name="door", source="door"))
    actual, _ = settled(desired(deployment(pipelines=pipelines)), Actual())
    assert set(actual.pipelines) == {"door"}


def test_a_failed_step_waits_with_its_reason_and_is_tried_again() -> None:
    wanted = desired(deployment())
    actual = failed(Actual(), s.Fetch("shelf", digest(1), "m", 1), FACTS, "connection refused")
    (wait,) = waits(wanted, actual)
    assert (wait.reason, wait.failed, wait.until) == ("connection refused", True, FACTS.now + 1)
    assert doable(wanted, actual) == []
    assert kinds(doable(wanted, actual, replace(FACTS, now=FACTS.now + 1))) == [s.Fetch]


def test_other_settings_of_a_pipeline_are_switched_to() -> None:
    wanted = desired(deployment(pipelines=(Pipeline(name="shelf", source="shelf", top_k=3),)))
    actual, taken = settled(wanted, running())
    assert kinds(taken) == [s.Switch]
    assert actual.pipelines["shelf"].settings.top_k == 3


def test_another_source_of_a_pipeline_is_opened_before_the_old_one_is_left() -> None:
    wanted = desired(deployment(pipelines=(Pipeline(name="shelf", source="door"),)))
    _, taken = settled(wanted, running())
    assert kinds(taken) == [s.StartCapture, s.StopPipeline, s.StartPipeline, s.StopCapture]


def test_a_capture_that_died_is_started_again_while_the_new_version_is_switched_to() -> None:
    actual = replace(running(1), captures=frozenset())
    warmed = actual
    for step in (
        s.Fetch("shelf", digest(2), "m", 2),
        s.Verify("shelf", digest(2), "m", 2),
        s.Prove("shelf", digest(2), None),
    ):
        warmed = applied(warmed, step)
    warmed = applied(warmed, s.Load("shelf", session(2)))
    assert kinds(doable(desired(deployment(2)), warmed)) == [s.Judge, s.StartCapture, s.Switch]


def test_a_deployment_that_is_gone_leaves_nothing_behind() -> None:
    actual, taken = settled(desired(), running())
    assert actual == Actual(choices=actual.choices)
    assert set(kinds(taken)) == {s.StopPipeline, s.Unload, s.StopCapture, s.StopWorker, s.Remove, s.Forget}


def test_two_deployments_share_a_session() -> None:
    second = deployment(1, "door", pipelines=(Pipeline(name="door", source="door"),))
    actual, taken = settled(desired(deployment(1), second), Actual())
    assert set(actual.pipelines) == {"shelf", "door"}
    assert kinds(taken).count(s.Load) == 1


def test_a_pipeline_name_belongs_to_one_deployment() -> None:
    clash = deployment(2, "zone", pipelines=(Pipeline(name="shelf", source="door"),))
    actual, _ = settled(desired(deployment(1), clash), Actual())
    assert actual.pipelines["shelf"].session == session(1)
    assert any(
        "already belongs to deployment 'shelf'" in wait.reason for wait in waits(desired(deployment(), clash), actual)
    )


def test_a_pinned_variant_is_proven_by_itself() -> None:
    wanted = desired(deployment(variant="m.onnx"))
    _, taken = settled(wanted, Actual())
    assert s.Prove("shelf", digest(1), "m.onnx") in taken


def test_steps_under_way_never_share_a_subject_that_one_of_them_takes_away() -> None:
    assert set(s.Load("a", session(1)).subjects) & set(s.Remove("", digest(1)).subjects)
    assert set(s.Load("a", session(1)).subjects) & set(s.StopWorker("").subjects)
    pipeline = Pipeline(name="shelf", source="shelf")
    assert set(s.StartPipeline("a", pipeline, session(1)).subjects) & set(s.Unload("", session(1)).subjects)
    assert set(s.StartPipeline("a", pipeline, session(1)).subjects) & set(s.StopCapture("", "shelf").subjects)


def test_a_worker_that_cannot_start_is_waited_for() -> None:
    wanted = desired(deployment())
    actual = Actual()
    while not isinstance((step := doable(wanted, actual)[0]), s.StartWorker):
        actual = applied(actual, step)
    held = failed(actual, step, FACTS, "no such file")
    assert [wait.reason for wait in waits(wanted, held)] == ["no such file"]


def test_trouble_with_a_source_is_a_reason_to_see_and_stops_nothing() -> None:
    troubled = replace(FACTS, troubles={"shelf": "failed: no such file"})
    actual, taken = settled(desired(deployment()), running(), troubled)
    assert taken == []
    (wait,) = waits(desired(deployment()), actual, troubled)
    assert (wait.reason, wait.failed) == ("source 'shelf': failed: no such file", True)


SERVED = deployment(1, serving=Serving(instances=2))


def test_a_deployment_that_serves_is_offered_from_the_session_of_its_pipelines() -> None:
    actual, taken = settled(desired(SERVED), Actual())
    assert kinds(taken).count(s.Offer) == 1
    (offered,) = actual.offered
    assert offered == actual.pipelines["shelf"].session
    assert offered.serving == Serving(instances=2)


def test_a_new_version_is_offered_before_the_old_one_is_withdrawn_and_unloaded() -> None:
    serving, _ = settled(desired(SERVED), Actual())
    _, taken = settled(desired(deployment(2, serving=Serving(instances=2))), serving)
    order = kinds(taken)
    assert order.index(s.Load) < order.index(s.Offer) < order.index(s.Withdraw) < order.index(s.Unload)


def test_clients_alone_are_enough_for_a_deployment() -> None:
    wanted = desired(deployment(1, pipelines=(), serving=Serving()))
    actual, taken = settled(wanted, Actual())
    assert s.StartCapture not in kinds(taken)
    assert [one.version for one in actual.offered] == [1]
    second, _ = settled(desired(deployment(2, pipelines=(), serving=Serving())), actual)
    assert [one.version for one in second.offered] == [2]
    assert second.last_good["shelf"].version == 1, "version 2 is on probation"
    later, _ = settled(desired(deployment(2, pipelines=(), serving=Serving())), second, LATER)
    assert later.last_good["shelf"].version == 2


def test_other_settings_for_clients_are_another_session_which_relieves_the_first() -> None:
    serving, _ = settled(desired(SERVED), Actual())
    _, taken = settled(desired(deployment(1, serving=Serving(instances=3))), serving)
    order = kinds(taken)
    assert order.index(s.Offer) < order.index(s.Withdraw)


def test_where_nothing_is_to_be_served_there_is_no_serving_process() -> None:
    actual, taken = settled(desired(deployment()), Actual())
    assert s.StartServing not in kinds(taken)
    serving, _ = settled(desired(SERVED), actual)
    _, taken = settled(desired(deployment()), serving)
    assert kinds(taken).index(s.Withdraw) < kinds(taken).index(s.StopServing)


def test_the_node_may_serve_everything_or_nothing() -> None:
    actual, _ = settled(desired(deployment()), Actual(), replace(FACTS, serve=True))
    assert len(actual.offered) == 1
    never = replace(FACTS, serve=False)
    actual, _ = settled(desired(SERVED), Actual(), never)
    assert not actual.offered
    assert [wait.reason for wait in waits(desired(SERVED), actual, never)] == [FORBIDDEN]


def test_after_the_workers_death_the_session_is_loaded_and_offered_again_without_being_withdrawn() -> None:
    serving, _ = settled(desired(SERVED), Actual())
    lost = {session: replace(one, connected=False) for session, one in serving.offered.items()}
    dead = replace(serving, worker=False, sessions=frozenset(), pipelines={}, offered=lost)
    actual, taken = settled(desired(SERVED), dead)
    assert s.Withdraw not in kinds(taken)
    assert all(one.connected for one in actual.offered.values())


def test_a_serving_process_that_died_is_started_again_and_told_everything() -> None:
    serving, _ = settled(desired(SERVED), Actual())
    _, taken = settled(desired(SERVED), replace(serving, serving=False, offered={}))
    assert kinds(taken) == [s.StartServing, s.Offer]


def test_a_port_that_is_taken_fails_the_deployment_and_its_pipelines_run() -> None:
    running_one, _ = settled(desired(deployment()), Actual())
    actual = failed(running_one, s.StartServing("shelf"), FACTS, "gRPC at 127.0.0.1:8001: Address already in use")
    after, _ = settled(desired(SERVED), actual)
    assert set(after.pipelines) == {"shelf"}
    assert any("Address already in use" in wait.reason for wait in waits(desired(SERVED), after))


def test_the_index_says_what_answers_what_comes_and_what_does_not() -> None:
    serving, _ = settled(desired(SERVED), Actual())
    wanted = desired(deployment(2, serving=Serving(instances=2)))
    index = index_of(wanted, serving, plan(wanted, serving, FACTS), None)
    assert [(one.model, one.version, one.state) for one in index.models] == [("m", "1", "READY"), ("m", "2", "LOADING")]
    assert index.ready, "an older version answers"
    hopeless = refused(Actual(), 1, "agreement 0.2 against 1.0")
    known, _ = settled(desired(SERVED), hopeless)
    index = index_of(desired(SERVED), known, plan(desired(SERVED), known, FACTS), None)
    assert [(one.state, one.reason) for one in index.models] == [("UNAVAILABLE", "agreement 0.2 against 1.0")]
    assert not index.ready


def test_what_serves_clients_is_reported_and_only_then_the_deployment_runs() -> None:
    serving, _ = settled(desired(SERVED), Actual())
    assert phase_of(SERVED, serving, plan(desired(SERVED), serving, FACTS))[0] == "running"
    lost = replace(serving, serving=False, offered={})
    assert phase_of(SERVED, lost, plan(desired(SERVED), lost, FACTS))[0] == "pending"
