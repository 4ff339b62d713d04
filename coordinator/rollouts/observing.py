"""What a member's newest report and the time make of its stage. Pure.

A report counts for a stage only where it names the rollout and the attempt, or came after the member's order; what is
older says nothing of it.
"""

from datetime import datetime, timedelta

from coordinator.rollouts.durations import duration
from coordinator.rollouts.records import Member, Rollout, View
from coordinator.rollouts.states import Stage

RECOVERS_S = 60.0
"""So long after its order a node that says it cannot run the version may still come to."""
NEWS = (Stage.ORDERED, Stage.HEALTHY, Stage.SHADOWING, Stage.ABSENT, Stage.LEFT, Stage.REVERTING)
"""The stages that what a node says, or the time, leads out of."""

Seen = tuple[Stage, str]
"""a stage, and the reason for it"""


def seen(rollout: Rollout, member: Member, view: View, now: datetime) -> Seen | None:
    """The stage that a member has come into; None where it stays in its own."""
    match member.stage:
        case Stage.ORDERED:
            return _ordered(rollout, member, view, now) or _late(rollout, member, view, now)
        case Stage.HEALTHY:
            return _returned(rollout, member, view)
        case Stage.SHADOWING:
            return _shadowing(rollout, member, view)
        case Stage.ABSENT | Stage.LEFT if view.online or member.stage is Stage.LEFT:
            return Stage.WAITING, ""
        case Stage.REVERTING if _went_back(rollout, member, view):
            return Stage.REVERTED, ""
        case _:
            return None


def _ordered(rollout: Rollout, member: Member, view: View, now: datetime) -> Seen | None:
    trial = view.trial
    if trial is not None and (trial.rollout, trial.attempt) == (rollout.id, member.attempt):
        return (Stage.HEALTHY, "") if trial.state == "passed" else _returned(rollout, member, view)
    if cannot(rollout, member, view) and _is_over(member, min(RECOVERS_S, rollout.spec.healthy_deadline_s), now):
        return Stage.FAILED, view.reason or "the node does not say why"
    return None


def cannot(rollout: Rollout, member: Member, view: View) -> bool:
    """Whether an ordered node says that it cannot run the version. It may say otherwise a moment later: what it could
    not fetch it tries again, and a camera comes back.
    """
    taken_up = _heard_since(member, view) and view.digest == rollout.after_digest
    return taken_up and view.phase == "failed" and view.trial is None


def _returned(rollout: Rollout, member: Member, view: View) -> Seen | None:
    trial = view.trial
    if trial is None or (trial.rollout, trial.attempt, trial.state) != (rollout.id, member.attempt, "returned"):
        return None
    return Stage.FAILED, f"went back by itself: {trial.reason or view.reason or 'it does not say why'}"


def _late(rollout: Rollout, member: Member, view: View, now: datetime) -> Seen | None:
    deadline_s = rollout.spec.healthy_deadline_s
    if not _is_over(member, deadline_s, now):
        return None
    taken_up = _heard_since(member, view) and view.digest == rollout.after_digest
    if view.online or taken_up:
        said = f"{view.phase}: {view.reason}" if view.reason else view.phase
        return Stage.FAILED, f"not healthy within {duration(deadline_s)}; {said}"
    return Stage.ABSENT, offline(view)


def _shadowing(rollout: Rollout, member: Member, view: View) -> Seen | None:
    shadow = view.shadow
    if shadow is None or (shadow.rollout, shadow.attempt, shadow.state) != (rollout.id, member.attempt, "failed"):
        return None
    return Stage.FAILED, f"the shadow failed: {shadow.reason or 'the node does not say why'}"


def _went_back(rollout: Rollout, member: Member, view: View) -> bool:
    back = view.trial is None and view.digest == rollout.before_digest and view.phase != "pending"
    return back and _heard_since(member, view)


def _is_over(member: Member, seconds: float, now: datetime) -> bool:
    return member.since is not None and now >= member.since + timedelta(seconds=seconds)


def _heard_since(member: Member, view: View) -> bool:
    return view.heard_at is not None and (member.since is None or view.heard_at > member.since)


def offline(view: View) -> str:
    """Why a node that is not there gets nothing."""
    return f"offline since {view.heard_at:%Y-%m-%d %H:%M} UTC" if view.heard_at else "never seen"
