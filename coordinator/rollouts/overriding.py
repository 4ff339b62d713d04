"""What a rollout makes of its deployment on one of its nodes: the member's stage becomes an override. Pure.

The deployment itself stays what it was until the rollout is completed, so a member without an override runs the
version before, and whoever gives up a rollout has only to end it.
"""

from collections.abc import Iterable

from coordinator.fleet.records import Override
from coordinator.rollouts.records import Member, Rollout
from coordinator.rollouts.states import ENDED, HAS_NEW, Stage, State
from protos.deployment import model_version
from protos.evidence import Shadow, Trial

NOT_BEGUN = frozenset({State.DRAFT, State.AWAITING_APPROVAL, State.QUEUED})


def overrides_of(memberships: Iterable[tuple[Rollout, Member]]) -> dict[str, Override]:
    """What the rollouts that a node is in make of their deployments there, by deployment."""
    found = ((rollout.spec.deployment, override_of(rollout, member)) for rollout, member in memberships)
    return {name: override for name, override in found if override is not None}


def override_of(rollout: Rollout, member: Member) -> Override | None:
    """What it makes of its deployment on one node; None: the deployment stays as it is there."""
    if rollout.state in ENDED or rollout.state in NOT_BEGUN:
        return None
    if member.stage is Stage.SHADOWING:
        return Override(shadow=shadow_of(rollout, member))
    if member.stage in HAS_NEW:
        return Override(spec=rollout.after, digest=rollout.after_digest, trial=trial_of(rollout, member))
    return None


def trial_of(rollout: Rollout, member: Member) -> Trial:
    """What the node is told to watch while the version is on trial there."""
    spec = rollout.spec
    return Trial(
        rollout=rollout.id,
        attempt=member.attempt,
        healthy_s=spec.min_healthy_s,
        report_s=report_s(spec.min_healthy_s),
        max_error_rate=spec.max_error_rate,
        max_p95_ms=spec.max_p95_ms,
        max_memory_mb=spec.max_memory_mb,
        max_restarts=spec.max_restarts,
        shifts=spec.shifts,
    )


def shadow_of(rollout: Rollout, member: Member) -> Shadow:
    """What the node is told to run beside its version."""
    spec = rollout.spec
    model, version = model_version(rollout.after.model)
    return Shadow(
        rollout=rollout.id,
        model=model,
        version=version,
        digest=rollout.after_digest,
        variant=rollout.after.variant,
        attempt=member.attempt,
        share=spec.shadow_share,
        cpu=spec.shadow_cpu,
        report_s=report_s(spec.shadow_s),
        shifts=spec.shifts,
    )


LEAST_REPORT_S, MOST_REPORT_S = 1.0, 30.0


def report_s(lasts_s: float) -> float:
    """How often a node tells what it measures of something that lasts so long: a few times, never every moment."""
    return min(max(lasts_s / 4, LEAST_REPORT_S), MOST_REPORT_S)
