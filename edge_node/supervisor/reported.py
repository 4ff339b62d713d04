"""What the node reports of itself: from desired, actual and plan to `Reported`, with proof. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from edge_node.engine.proof import VariantProof
from edge_node.engine.select import Choice, NoChoice
from edge_node.rungs import SessionStatus
from edge_node.store.trust import Adopted
from edge_node.supervisor.actual import Actual, Session
from edge_node.supervisor.intent import chosen_session, sent_back
from edge_node.supervisor.offering import serving_of
from edge_node.supervisor.shadow_reported import shadow_reported
from edge_node.supervisor.steps import Step, Wait
from protos.desired import DesiredDeployment
from protos.egress_fields import LONGEST_LINE
from protos.evidence import ReportedTrial
from protos.identity import NodeId
from protos.reported import Proof, Reported, ReportedDeployment

Phase = Literal["pending", "running", "failed"]
NO_TRIALS: Mapping[str, ReportedTrial | None] = MappingProxyType({})


def reported(
    node: NodeId,
    adopted: Adopted | None,
    actual: Actual,
    plan: Sequence[Step],
    *,
    at: str,
    refusal: str,
    trials: Mapping[str, ReportedTrial | None] = NO_TRIALS,
) -> Reported:
    """The node's state.

    Args:
        node: whose.
        adopted: the document that it follows, None before the first.
        actual: what it has and does.
        plan: the newest plan: its waits are the reasons.
        at: RFC 3339 UTC.
        refusal: why the newest document was not adopted, or empty.
        trials: how versions on trial do, by deployment.
    """
    if adopted is None:
        return Reported(node, 0, 0, None, at, refusal=refusal[:LONGEST_LINE])
    desired = adopted.desired
    return Reported(
        node=node,
        epoch=desired.epoch,
        revision=desired.revision,
        desired_digest=adopted.digest,
        at=at,
        deployments=tuple(_deployment(target, actual, plan, trials.get(target.name)) for target in desired.deployments),
        refusal=refusal[:LONGEST_LINE],
    )


def _deployment(
    target: DesiredDeployment, actual: Actual, plan: Sequence[Step], trial: ReportedTrial | None
) -> ReportedDeployment:
    proof = _proof_of(target, actual)
    phase, reason = phase_of(target, actual, plan)
    standing = _standing(target, actual)
    serving = {run.session.version for run in actual.pipelines.values() if run.deployment == target.name}
    offered = {
        one.version for one, offer in actual.offered.items() if offer.connected and offer.deployment == target.name
    }
    return ReportedDeployment(
        name=target.name,
        model=target.model,
        version=target.version,
        digest=target.digest,
        phase=phase,
        reason=reason[:LONGEST_LINE],
        variant=None if proof is None else proof.file,
        engine=standing.engine if standing else proof.engine if proof else None,
        engine_version=None if proof is None else proof.engine_version,
        accelerator=standing.accelerator if standing else proof.accelerator if proof else None,
        proof=_proof(target, actual),
        serving_version=max(serving or offered, default=None),
        offered_version=max(offered, default=None),
        trial=trial,
        shadow=shadow_reported(target, actual, plan),
    )


def phase_of(target: DesiredDeployment, actual: Actual, plan: Sequence[Step]) -> tuple[Phase, str]:
    """The phase of a deployment and why: what it waits for, or what failed, or the step ahead."""
    steps = [step for step in plan if step.deployment == target.name]
    waits = [step for step in steps if isinstance(step, Wait)]
    failures = [wait.reason for wait in waits if wait.failed]
    reasons = failures or [wait.reason for wait in waits]
    if _runs(target, actual) and not _fails(target, actual) and not sent_back(target, actual):
        standing = _standing(target, actual)
        return "running", "; ".join(filter(None, (standing.fell if standing else "", *reasons)))
    if failures:
        return "failed", "; ".join(failures)
    return "pending", "; ".join(reasons or [str(step) for step in steps])


def _runs(target: DesiredDeployment, actual: Actual) -> bool:
    """Whether every pipeline runs on the version, as it is wanted, and clients who should be are answered by it."""
    session = chosen_session(target, actual)
    running = (actual.pipelines.get(pipeline.name) for pipeline in target.pipelines)
    asked = not target.pipelines or serving_of(target, None) is not None
    if session is None or (asked and not _is_offered(session, actual)):
        return False
    return all(
        one is not None and one.session == session and one.settings == pipeline
        for one, pipeline in zip(running, target.pipelines, strict=True)
    )


def _is_offered(session: Session, actual: Actual) -> bool:
    offered = actual.offered.get(session)
    return offered is not None and offered.connected


def _fails(target: DesiredDeployment, actual: Actual) -> bool:
    """Whether a pipeline answers no frame, or none gets any."""
    blind = all(pipeline.source in actual.unusable for pipeline in target.pipelines)
    return (blind and bool(target.pipelines)) or any(pipeline.name in actual.failing for pipeline in target.pipelines)


def _standing(target: DesiredDeployment, actual: Actual) -> SessionStatus | None:
    """What the deployment's session runs on now, None where it is not loaded."""
    session = chosen_session(target, actual)
    return None if session is None else actual.standing.get(session.key)


def _proof_of(target: DesiredDeployment, actual: Actual) -> VariantProof | None:
    choice = actual.choices.get((target.digest, target.variant))
    return choice.proof if isinstance(choice, Choice) else None


def _proof(target: DesiredDeployment, actual: Actual) -> Proof | None:
    choice = actual.choices.get((target.digest, target.variant))
    if choice is None:
        return None
    if isinstance(choice, NoChoice):
        return Proof("refused")
    tried = choice.proof
    return Proof(
        "proven" if tried.vectors else "unproven", vectors=tried.vectors, agreement=tried.agreement, p95_ms=tried.p95_ms
    )
