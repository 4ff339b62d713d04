"""Rollouts, members and views to test with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from coordinator.rollouts.records import Decision, Member, Rollout, View
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import Stage, State
from protos.deployment import Deployment, Pipeline
from protos.digest import Digest, digest_of
from protos.evidence import Evidence, ReportedShadow, ReportedTrial, bucket_of
from protos.identity import NodeId

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)  # a Friday
BEFORE, AFTER = digest_of(b"before"), digest_of(b"after")
PIPELINES = (Pipeline("shelf", "shelf"),)

Members = Mapping[NodeId, Member]
Views = Mapping[NodeId, View]


def later(seconds: float) -> datetime:
    """So many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def a_spec(**changes: Any) -> RolloutSpec:
    """One wave after another without a person, any number at a time, but for the changes."""
    given = {"deployment": "shelf", "to": "m@2", "max_parallel": "100%", "auto_promote": True, **changes}
    return RolloutSpec(**given)


def a_rollout(state: State = State.RUNNING, spec: RolloutSpec | None = None, **changes: Any) -> Rollout:
    """A rollout of shelf that came into its state at `NOW`."""
    rollout = Rollout(
        "shelf-1",
        spec or a_spec(),
        Deployment("shelf", "", "m@1", PIPELINES),
        Deployment("shelf", "", "m@2", PIPELINES),
        BEFORE,
        AFTER,
        state,
        NOW,
        "anna",
        NOW,
        wave_since=NOW,
        progress_at=NOW,
    )
    return replace(rollout, **changes)


def node(number: int) -> NodeId:
    """The id of a node."""
    return NodeId(f"{number:032x}")


def a_member(number: int = 1, stage: Stage = Stage.WAITING, wave: int = 0, **changes: Any) -> Member:
    """A member that came into its stage at `NOW`."""
    return replace(Member(node(number), wave, stage, NOW), **changes)


def by_node(members: Iterable[Member]) -> dict[NodeId, Member]:
    """The members by their nodes."""
    return {member.node: member for member in members}


def a_view(number: int = 1, **changes: Any) -> View:
    """A node that is there and runs the version before."""
    view = View(node(number), "store-1", {}, online=True, heard_at=NOW, digest=BEFORE, phase="running")
    return replace(view, **changes)


def views_of(*views: View) -> dict[NodeId, View]:
    """The views by their nodes."""
    return {view.node: view for view in views}


def a_trial(state: Any = "on", attempt: int = 0, **changes: Any) -> ReportedTrial:
    """What a node says of the version on trial."""
    return ReportedTrial("shelf-1", attempt, state, **changes)


def a_shadow(state: Any = "on", attempt: int = 0, **changes: Any) -> ReportedShadow:
    """What a node says of the candidate in the shadow."""
    return ReportedShadow("shelf-1", attempt, state, **changes)


def on_trial(number: int = 1, state: Any = "on", digest: Digest = AFTER, **changes: Any) -> View:
    """A node that has taken up its order."""
    return a_view(number, digest=digest, trial=a_trial(state, **changes))


def evidence(samples: int = 1000, ms: float = 20.0, errors: int = 0, **changes: Any) -> Evidence:
    """Answers that all took so long."""
    return Evidence(samples=samples, errors=errors, latency={bucket_of(ms): samples}, **changes)


def after(rollout: Rollout, members: Members, decision: Decision) -> tuple[Rollout, dict[NodeId, Member]]:
    """How things are when a decision has been stored."""
    return decision.rollout, {**members, **by_node(decision.members)}
