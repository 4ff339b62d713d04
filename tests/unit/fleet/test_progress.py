"""How far a node has come with a deployment."""

from dataclasses import replace

import msgspec
import pytest

from coordinator.fleet.progress import progress_of
from protos.digest import digest_of
from protos.reported import Reported, ReportedDeployment
from tests.unit.fleet.examples import DIGEST, a_deployment, a_node


def reported(refusal: str = "", **changes: object) -> Reported:
    """A report of the deployment, running unless said otherwise."""
    entry = ReportedDeployment("shelf", "mobilenet", 1, DIGEST, "running", serving_version=1)
    deployments = (replace_struct(entry, **changes),)
    return Reported(a_node().id, 1, 1, None, "t", deployments, refusal)


def replace_struct(entry: ReportedDeployment, **changes: object) -> ReportedDeployment:
    """The entry with other values."""
    return msgspec.structs.replace(entry, **changes)


@pytest.mark.parametrize(
    ("report", "phase", "reason", "serving"),
    [
        (None, "pending", "the node has not reported yet", 0),
        (reported(), "running", "", 1),
        (reported(phase="failed", reason="no engine"), "failed", "no engine", 1),
        (reported(digest=digest_of(b"old")), "pending", "the node has not taken up the change yet", 1),
        (reported(name="other"), "pending", "the node has not taken up the change yet", 0),
        (reported(refusal="signed by nobody"), "failed", "signed by nobody", 1),
    ],
    ids=["silent", "running", "failed", "older version", "another deployment", "refused"],
)
def test_the_newest_report_tells(report: Reported | None, phase: str, reason: str, serving: int) -> None:
    progress = progress_of(a_deployment(), replace(a_node(), reported=report), {})
    assert (progress.phase, progress.reason, progress.serving_version) == (phase, reason, serving)


def test_a_deployment_that_was_left_out_has_failed_for_that_reason() -> None:
    progress = progress_of(a_deployment(), replace(a_node(), reported=reported()), {"shelf": "taken"})
    assert (progress.phase, progress.reason) == ("failed", "taken")
