"""What the node keeps and says: identity, desired document, reported state, status."""

import stat
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge_node.cli.status_text import status_text
from edge_node.errors import BadInput, Refused
from edge_node.link.coordinator import Registration
from edge_node.membership.identity import IdentityFile, pinned
from edge_node.membership.registration import retry_s
from edge_node.store.trust import Adopted
from edge_node.supervisor.actual import Actual, Failure
from edge_node.supervisor.backoff import LONGEST_S, failed_again
from edge_node.supervisor.desired import DesiredFile, LastGoodFile
from edge_node.supervisor.failing import IN_A_ROW, failing
from edge_node.supervisor.plan import plan
from edge_node.supervisor.reported import reported
from edge_node.supervisor.results import quantile
from edge_node.supervisor.status import (
    BytesReport,
    LinkReport,
    OutboxReport,
    StatusDocument,
    pipeline_reports,
    plan_report,
    worker_report,
)
from edge_node.supervisor.steps import Load, Promote, Switch, session_subject
from edge_node.supervisor.watch import PROBATION_S
from edge_node.worker.messages import PipelineStatus
from protos.evidence import Evidence, ReportedShadow
from protos.identity import NodeId
from tests.unit.supervisor.world import FACTS, NODE, applied, deployment, desired, digest, refused, session, settled

TOLD = Registration(NODE, "mqtt://127.0.0.1:1", "edge/v1", (b"k" * 32,), "cam", "store")


def test_an_identity_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = IdentityFile(tmp_path / "identity.json")
    assert file.load() is None
    identity = pinned(None, TOLD, "127.0.0.1:7070")
    file.save(identity)
    assert file.load() == identity
    assert stat.S_IMODE((tmp_path / "identity.json").stat().st_mode) == 0o600


def test_a_damaged_identity_is_never_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_bytes(b"{")
    with pytest.raises(BadInput, match="is damaged"):
        IdentityFile(tmp_path / "identity.json").load()


def test_a_coordinator_with_another_key_or_id_is_refused() -> None:
    before = pinned(None, TOLD, "a:1")
    for changed in ({"trusted_keys": (b"x" * 32,)}, {"node_id": NodeId("9" * 32)}):
        with pytest.raises(Refused):
            pinned(before, msgspec.structs.replace(TOLD, **changed), "a:1")
    moved = pinned(before, msgspec.structs.replace(TOLD, broker_url="mqtt://127.0.0.1:2"), "a:2")
    assert (moved.broker_url, moved.coordinator) == ("mqtt://127.0.0.1:2", "a:2")


def test_damaged_documents_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "desired.json").write_bytes(b"\xff")
    (tmp_path / "last_good.json").write_bytes(b"[]")
    assert DesiredFile(tmp_path / "desired.json").load(frozenset(), NODE) is None
    assert LastGoodFile(tmp_path / "last_good.json").load() == {}


def test_a_failure_waits_twice_as_long_each_time_up_to_a_limit() -> None:
    failure = None
    waits = []
    for _ in range(12):
        failure = failed_again(failure, "why", 0.0)
        waits.append(failure.retry_at)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_S
    assert 0.5 <= retry_s(0, 0.0) <= retry_s(0, 1.0) <= 1.0 <= retry_s(20, 1.0) <= 60.0


def test_a_running_deployment_is_reported_with_its_proof() -> None:
    wanted = desired(deployment())
    actual, _ = settled(wanted, Actual())
    state = reported(NODE, Adopted(b"", digest(7), wanted), actual, plan(wanted, actual, FACTS), at="now", refusal="")
    (one,) = state.deployments
    assert (one.phase, one.reason, one.variant, one.serving_version) == ("running", "", "m.onnx", 1)
    assert one.proof is not None
    assert one.proof.status == "proven"
    assert (state.epoch, state.revision, state.desired_digest) == (1, 1, digest(7))


def test_a_refused_version_is_reported_beside_the_one_that_serves() -> None:
    first, _ = settled(desired(deployment()), Actual())
    wanted = desired(deployment(2))
    actual, _ = settled(wanted, refused(first, 2, "agreement 0 against 1"))
    state = reported(NODE, Adopted(b"", digest(7), wanted), actual, plan(wanted, actual, FACTS), at="now", refusal="x")
    (one,) = state.deployments
    assert (one.phase, one.reason, one.serving_version) == ("failed", "agreement 0 against 1", 1)
    assert one.proof is not None
    assert one.proof.status == "refused"
    assert state.refusal == "x"


def test_a_version_that_answers_no_frame_is_reported_as_failed_with_its_error() -> None:
    wanted = desired(deployment())
    running, _ = settled(wanted, Actual())
    status = PipelineStatus("shelf", session().key, 0, 0, IN_A_ROW, 0, error="the engine gave up", failing=IN_A_ROW)
    actual = replace(running, failing=failing([status], running.pipelines))
    state = reported(NODE, Adopted(b"", digest(7), wanted), actual, plan(wanted, actual, FACTS), at="now", refusal="")
    (one,) = state.deployments
    assert (one.phase, one.reason) == ("failed", "pipeline 'shelf' fails: the engine gave up")


def test_only_frames_that_fail_in_a_row_on_the_present_session_are_a_failure() -> None:
    running, _ = settled(desired(deployment()), Actual())
    once = PipelineStatus("shelf", session().key, 9, 0, 40, 0, error="no", failing=IN_A_ROW - 1)
    before = PipelineStatus("shelf", session(2).key, 0, 0, 9, 0, error="no", failing=9)
    stranger = PipelineStatus("door", session().key, 0, 0, 9, 0, error="no", failing=9)
    assert failing([once, before, stranger], running.pipelines) == {}


def test_a_version_that_answers_no_frame_does_not_pass_its_probation() -> None:
    wanted = desired(deployment(2))
    first, _ = settled(desired(deployment()), Actual())
    second, _ = settled(wanted, first)
    later = replace(FACTS, now=FACTS.now + PROBATION_S)
    assert [step for step in plan(wanted, second, later) if isinstance(step, Promote)]
    fails = replace(second, failing={"shelf": "no"})
    assert not [step for step in plan(wanted, fails, later) if isinstance(step, Promote)]


def test_a_version_that_answers_no_frame_is_relieved_by_the_last_good_one_and_not_tried_again() -> None:
    wanted = desired(deployment(2))
    first, _ = settled(desired(deployment()), Actual())
    second, _ = settled(wanted, first)
    assert second.pipelines["shelf"].session == session(2)
    (judge, *_) = plan(wanted, replace(second, failing={"shelf": "no"}), FACTS)
    relieved, steps = settled(wanted, applied(second, judge))
    assert relieved.pipelines["shelf"].session == session(1)
    assert Switch in [type(step) for step in steps]
    state = reported(NODE, Adopted(b"", digest(7), wanted), relieved, plan(wanted, relieved, FACTS), at="", refusal="")
    why = "pipeline 'shelf' fails: no"
    assert [(one.phase, one.reason, one.serving_version) for one in state.deployments] == [("failed", why, 1)]
    later = replace(FACTS, now=FACTS.now + 2000.0)
    assert settled(wanted, relieved, later)[0].pipelines["shelf"].session == session(1)


def test_without_a_better_version_one_that_answers_no_frame_stays() -> None:
    wanted = desired(deployment())
    running, _ = settled(wanted, Actual())
    fails = replace(running, failures={session_subject(session()): Failure("no", 1, FACTS.now + 1.0)})
    assert settled(wanted, fails)[0].pipelines["shelf"].session == session()


def test_a_pending_deployment_is_reported_with_the_step_ahead() -> None:
    wanted = desired(deployment())
    steps = plan(wanted, Actual(), FACTS)
    state = reported(NODE, Adopted(b"", digest(7), wanted), Actual(), steps, at="now", refusal="")
    assert [(one.phase, one.reason[:12]) for one in state.deployments] == [("pending", "fetch bundle")]
    assert reported(NODE, None, Actual(), (), at="now", refusal="").deployments == ()


def test_quantiles_are_of_what_was_seen() -> None:
    assert quantile([], 0.5) is None
    assert quantile([5.0], 0.95) == 5.0
    assert quantile([float(number) for number in range(100)], 0.95) == 95.0


def test_the_status_reads_as_text_and_survives_its_json() -> None:
    wanted = desired(deployment(2))
    first, _ = settled(desired(deployment(1)), Actual())
    actual, _ = settled(wanted, refused(first, 2, "agreement 0 against 1"))
    steps = plan(wanted, actual, FACTS)
    state = reported(NODE, Adopted(b"", digest(7), wanted), actual, steps, at="now", refusal="")
    shadow = ReportedShadow("r7", 0, "on", left_out=3, evidence=(Evidence(compared=200, agreed=197),))
    deployments = tuple(msgspec.structs.replace(one, shadow=shadow) for one in state.deployments)
    document = StatusDocument(
        NODE, "cam", "store", "1", 1, 1.0, 2048, 1, 1, "stale", deployments,
        plan_report(steps, [Load("shelf", session(2))]), pipeline_reports(actual.pipelines, None, {}), (),
        worker_report(False, None, 0), OutboxReport("s", 3, 1, 2, 10, 4.0, {"too_old": 1}),
        LinkReport(live="connected"), BytesReport(5, {"live": 7}),
    )  # fmt: skip
    again = msgspec.json.decode(msgspec.json.encode(document), type=StatusDocument)
    assert again == document
    text = status_text(again)
    for part in (
        "doing",
        "agreement 0 against 1",
        "m@1",
        "2 of 3 results wait",
        "1 dropped (too_old)",
        "live 7",
        "stale",
        "98.5%",
    ):
        assert part in text
