"""Going back: nodes that have the new version are given the one before. Pure.

Going back waits for no place: it is what a node has proved already. Who is not there gets it on return.
"""

from coordinator.rollouts.durations import duration
from coordinator.rollouts.observing import offline
from coordinator.rollouts.states import HAS_NEW, Stage, State
from coordinator.rollouts.turn import Turn, nodes_text


def revert(turn: Turn, ends: State, reason: str, **detail: object) -> None:
    """Begin to go back; `ends` is the state that follows when all have."""
    turn.become(State.REVERTING, reason, resumes=ends, **detail)
    for member in turn.at(*HAS_NEW):
        turn.move(member, Stage.REVERTING)
    for member in turn.at(Stage.SHADOWING):
        turn.move(member, Stage.WAITING)


def reverting(turn: Turn) -> bool:
    """End when every member that is there has gone back; fail when some have not within the healthy deadline."""
    pending = 0
    for member in turn.at(Stage.REVERTING):
        view = turn.views[member.node]
        pending += view.online
        turn.explain(member, "" if view.online else f"{offline(view)}; goes back when it returns")
    rollout = turn.rollout
    if not pending:
        turn.become(rollout.resumes or State.REVERTED, rollout.reason)
    elif turn.is_over(rollout.since, rollout.spec.healthy_deadline_s):
        within = duration(rollout.spec.healthy_deadline_s)
        turn.become(State.FAILED, f"not gone back within {within}: {nodes_text(pending)}", resumes=State.RUNNING)
    return False
