"""What nodes report, as far as the audit log is concerned."""

from dataclasses import replace
from datetime import UTC, datetime

from coordinator.audit.chain import Act
from coordinator.fleet.records import Node
from coordinator.fleet.reports import news
from protos.digest import digest_of
from protos.identity import NodeId
from protos.reported import Facts, Reported, ReportedDeployment

NODE = NodeId("a" * 32)
KNOWN = Node(NODE, "store-12", "cam-3", {}, Facts(), datetime(2026, 5, 1, tzinfo=UTC))
QUIET = Reported(NODE, 1, 1, None, "2026-05-01T10:00:00Z")
BAD = ReportedDeployment("shelf", "m", 2, digest_of(b""), "failed", "not signed by a publisher")


def test_a_refused_document_and_a_refused_version_are_news_once() -> None:
    refusing = replace_reported(refusal="stale", deployments=(BAD,))
    assert [(act.detail, act.outcome) for act in news(KNOWN, refusing)] == [
        ({"deployment": ""}, "stale"),
        ({"deployment": "shelf"}, "not signed by a publisher"),
    ]
    assert news(replace(KNOWN, reported=refusing), refusing) == ()


def test_another_reason_is_news_and_nothing_else_is() -> None:
    before = replace(KNOWN, reported=replace_reported(refusal="stale"))
    assert news(before, replace_reported(refusal="expired")) == (
        Act(NODE, "node.refused", "store-12/cam-3", {"deployment": ""}, "expired"),
    )
    assert news(before, QUIET) == ()


def replace_reported(refusal: str = "", deployments: tuple[ReportedDeployment, ...] = ()) -> Reported:
    """The quiet report with something to say."""
    return Reported(NODE, 1, 1, None, QUIET.at, deployments, refusal)
