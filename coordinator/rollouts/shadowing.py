"""The shadow before the first wave: how long it lasts, and what ends it. Pure."""

from coordinator.rollouts.durations import duration
from coordinator.rollouts.gates import Outcome
from coordinator.rollouts.judging import outcome_of, shadow_verdicts
from coordinator.rollouts.running import begin_waves
from coordinator.rollouts.starting import shadow
from coordinator.rollouts.states import Stage
from coordinator.rollouts.stopping import has_failed_gate, has_failures, stop, tell
from coordinator.rollouts.turn import Turn


def shadowing(turn: Turn) -> bool:
    """Go on to the first wave when the time is over and the gates pass; stop where one fails."""
    shadow(turn)
    spec = turn.rollout.spec
    verdicts = shadow_verdicts(turn.rollout, turn.at(Stage.SHADOWING), turn.views)
    if has_failures(turn) or has_failed_gate(turn, verdicts):
        return True
    if not turn.is_over(turn.rollout.since, spec.shadow_s):
        turn.because(f"the shadow lasts {duration(spec.shadow_s)}")
        return False
    if outcome_of(verdicts) is Outcome.PASSED and _has_run(turn):
        tell(turn, verdicts)
        begin_waves(turn)
        return True
    if turn.is_over(turn.rollout.since, spec.shadow_s + spec.progress_deadline_s):
        stop(turn, f"the shadow has brought too little within {duration(spec.progress_deadline_s)} of its end")
        return True
    turn.because("the shadow waits for samples")
    return False


def _has_run(turn: Turn) -> bool:
    """Whether the candidate runs anywhere."""
    shadows = (turn.views[member.node].shadow for member in turn.at(Stage.SHADOWING))
    return any(one is not None and (one.rollout, one.state) == (turn.rollout.id, "on") for one in shadows)
