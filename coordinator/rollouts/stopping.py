"""What stops a rollout by itself, and how: too many failures, a gate, no progress. Pure."""

from collections.abc import Iterable

from coordinator.rollouts.gates import Outcome, Verdict
from coordinator.rollouts.limits import tolerated
from coordinator.rollouts.reverting import revert
from coordinator.rollouts.states import Stage, State
from coordinator.rollouts.turn import Turn


def stop(turn: Turn, reason: str, **detail: object) -> None:
    """Nobody else starts. With `auto_revert` the nodes go back, where there is something else to go back to."""
    rollout = turn.rollout
    if rollout.spec.auto_revert and rollout.before_digest != rollout.after_digest:
        revert(turn, State.REVERTED, reason, **detail)
    else:
        turn.become(State.FAILED, reason, resumes=rollout.state, **detail)
        for member in turn.at(Stage.SHADOWING):
            turn.move(member, Stage.WAITING)


def has_failures(turn: Turn) -> bool:
    """Stop where more members have failed than may."""
    failed, allowed = len(turn.at(Stage.FAILED)), tolerated(turn.rollout.spec, len(turn.members))
    if failed <= allowed:
        return False
    stop(turn, f"{failed} of {len(turn.members)} nodes failed; {allowed} may", failed=failed, allowed=allowed)
    return True


def has_failed_gate(turn: Turn, verdicts: Iterable[Verdict]) -> bool:
    """Stop where a gate fails."""
    failed = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAILED]
    if not failed:
        return False
    tell(turn, failed)
    stop(turn, str(failed[0]) if len(failed) == 1 else f"{failed[0]}; and {len(failed) - 1} more")
    return True


def tell(turn: Turn, verdicts: Iterable[Verdict]) -> None:
    """Keep the numbers of gates that decided."""
    for verdict in verdicts:
        turn.tell(
            "gate",
            str(verdict),
            gate=verdict.gate,
            slice=verdict.slice,
            outcome=str(verdict.outcome),
            statistic=verdict.statistic,
            value=verdict.value,
            bound=verdict.bound,
            samples=verdict.samples,
            needed=verdict.needed,
            wave=turn.rollout.wave,
        )
