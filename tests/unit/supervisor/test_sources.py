"""What is wrong with sources: decided from their captures' states, logged once, told in the reported state."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.capture.messages import CaptureReport
from edge_node.store.trust import Adopted
from edge_node.supervisor.actual import Actual
from edge_node.supervisor.plan import plan
from edge_node.supervisor.reported import reported
from edge_node.supervisor.sources import troubles_after, unusable
from protos.deployment import Pipeline
from protos.desired import DesiredDeployment
from protos.reported import ReportedDeployment
from tests.unit.supervisor.test_effects import RecordingCapture, device_in
from tests.unit.supervisor.world import FACTS, NODE, deployment, desired, digest, settled

TWO = (Pipeline(name="shelf", source="shelf"), Pipeline(name="door", source="door"))


def told(target: DesiredDeployment, troubles: dict[str, str]) -> ReportedDeployment:
    """What is reported of a deployment that runs, with these troubles."""
    wanted = desired(target)
    running, _ = settled(wanted, Actual())
    actual = replace(running, unusable=unusable(troubles))
    steps = plan(wanted, actual, replace(FACTS, troubles=troubles))
    (one,) = reported(NODE, Adopted(b"", digest(7), wanted), actual, steps, at="now", refusal="").deployments
    return one


def test_trouble_lasts_until_frames_come_again_and_is_said_without_its_countdown() -> None:
    failed = "failed: no video at /x.mp4: check the url of the source"
    first = troubles_after({}, {"shelf": f"{failed}; starting again in 2.0 s", "door": "connected"})
    assert first == {"shelf": failed}
    assert troubles_after(first, {"shelf": "starting"}) == first
    assert troubles_after(first, {"shelf": f"{failed}; starting again in 4.1 s"}) == first
    assert troubles_after(first, {"shelf": "connected"}) == {}
    assert troubles_after(first, {}) == {}
    assert troubles_after({}, {"shelf": "lost: it; retrying in 0.5 s"}) == {"shelf": "lost: it"}
    assert troubles_after({}, {"shelf": "starting", "door": "connecting"}) == {}


def test_a_clip_that_has_ended_is_the_reason_of_a_running_deployment() -> None:
    one = told(deployment(), {"shelf": "ended"})
    assert (one.phase, one.reason) == ("running", "source 'shelf' has ended")


def test_a_deployment_whose_only_source_cannot_be_used_has_failed() -> None:
    one = told(deployment(), {"shelf": "failed: no video at /x.mp4"})
    assert (one.phase, one.reason) == ("failed", "source 'shelf': failed: no video at /x.mp4")


def test_a_deployment_with_frames_from_one_of_its_sources_runs_and_says_what_is_wrong_with_the_other() -> None:
    one = told(deployment(pipelines=TWO), {"door": "failed: no video at /x.mp4"})
    assert (one.phase, one.reason) == ("running", "source 'door': failed: no video at /x.mp4")


def test_a_camera_that_comes_back_by_itself_does_not_fail_its_deployment() -> None:
    one = told(deployment(), {"shelf": "lost: rtsp://camera: connection refused"})
    assert (one.phase, one.reason) == ("running", "source 'shelf': lost: rtsp://camera: connection refused")


def test_each_change_of_a_source_is_one_warning_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    device, capture = device_in(tmp_path), RecordingCapture("shelf")
    device.captures["shelf"] = capture
    for state in ("starting", "failed: no; starting again in 1.0 s", "starting", "failed: no; starting again in 2.0 s"):
        capture.report = CaptureReport(state)
        device.look_at_sources()
    assert device.actual().unusable == {"shelf"}
    for state in ("connected", "ended", "ended"):
        capture.report = CaptureReport(state)
        device.look_at_sources()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "source 'shelf': failed: no"),
        ("INFO", "source 'shelf' gives frames again"),
        ("WARNING", "source 'shelf' has ended"),
    ]
