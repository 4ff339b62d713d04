"""How far a node has come with a deployment, from its newest report. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from coordinator.fleet.records import Applied, Node

Phase = Literal["pending", "running", "failed"]


@dataclass(frozen=True)
class NodeProgress:
    """One node of a deployment; `serving_version` is 0 while nothing of it is served."""

    node: Node
    phase: Phase
    reason: str
    serving_version: int


def progress_of(applied: Applied, node: Node, refused: Mapping[str, str]) -> NodeProgress:
    """What the newest report says of the deployment; a report on an older document is not yet an answer to this one."""
    name, report = applied.spec.name, node.reported
    if name in refused:
        return NodeProgress(node, "failed", refused[name], 0)
    entry = next((entry for entry in report.deployments if entry.name == name), None) if report else None
    serving = (entry.serving_version or 0) if entry else 0
    if report is not None and report.refusal:
        return NodeProgress(node, "failed", report.refusal, serving)
    if entry is not None and entry.digest == applied.digest:
        return NodeProgress(node, entry.phase, entry.reason, serving)
    waits_for = "the node has not reported yet" if report is None else "the node has not taken up the change yet"
    return NodeProgress(node, "pending", waits_for, serving)
