"""The one decision of a rollout: what comes next, of what is known now. Pure and level-triggered.

`advance` looks at how things are, never at what has just happened: called twice with the same facts it changes nothing
the second time, and one that was missed is made up for by the next. Nothing is done here: the decision is data.
What a person orders is `orders.py`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from coordinator.rollouts.observing import NEWS, RECOVERS_S, cannot, seen
from coordinator.rollouts.records import Decision, Member, Rollout, View
from coordinator.rollouts.reverting import reverting
from coordinator.rollouts.running import begin, running
from coordinator.rollouts.shadowing import shadowing
from coordinator.rollouts.states import ENDED, Stage, State
from coordinator.rollouts.turn import Turn
from coordinator.rollouts.waves import enrolled
from protos.identity import NodeId


def advance(
    rollout: Rollout,
    members: Mapping[NodeId, Member],
    views: Mapping[NodeId, View],
    others: Mapping[NodeId, str],
    now: datetime,
) -> Decision:
    """What comes next.

    Args:
        rollout: as it is.
        members: all of its members.
        views: of every node that the deployment selects now, member or not; a member without one has left.
        others: nodes that another rollout has, which goes before this one (`queueing.py`) → its id.
        now: aware.
    """
    if rollout.state in ENDED:
        return Decision(rollout)
    turn = Turn(rollout, members, now, views, others)
    _take_in(turn)
    _observe(turn)
    while _STEPS[turn.rollout.state](turn):
        pass  # a state that is over at once is passed through
    _wake_for_deadlines(turn)
    return turn.decision()


def _take_in(turn: Turn) -> None:
    """Nodes that the deployment selects now become members; those that it does not select any more leave."""
    rollout = turn.rollout
    new = [node for node in turn.views if node not in turn.members]
    turn.enrol(enrolled(rollout.id, rollout.spec, len(turn.members), new))
    for member in list(turn.members.values()):
        if member.node not in turn.views and member.stage is not Stage.LEFT:
            turn.move(member, Stage.LEFT, "the deployment does not select it any more")


def _observe(turn: Turn) -> None:
    healthy = 0
    for member in turn.at(*NEWS):
        view = turn.views.get(member.node)
        found = None if view is None else seen(turn.rollout, member, view, turn.now)
        if found is None:
            if view is not None and member.stage is Stage.ORDERED and cannot(turn.rollout, member, view):
                turn.is_over(member.since, RECOVERS_S)
            continue
        stage, reason = found
        turn.move(member, stage, reason)
        healthy += stage is Stage.HEALTHY
        if stage is Stage.FAILED:
            turn.tell("member", f"{member.node} failed: {reason}", node=member.node, wave=member.wave)
    if healthy:
        turn.progressed()
        turn.tell("member", f"{healthy} became healthy", healthy=healthy)


def _wake_for_deadlines(turn: Turn) -> None:
    since = [member.since for member in turn.at(Stage.ORDERED) if member.since is not None]
    if since:
        turn.is_over(min(since), turn.rollout.spec.healthy_deadline_s)


def _queued(turn: Turn) -> bool:
    taken = sorted({other for node, other in turn.others.items() if node in turn.views})
    if taken:
        turn.because(f"rollout {' and '.join(taken)} has nodes of it")
        return False
    begin(turn)
    return True


def _stays(_: Turn) -> bool:
    return False


def _promoting(turn: Turn) -> bool:
    turn.become(State.COMPLETED)
    return False


_STEPS: dict[State, Callable[[Turn], bool]] = {
    State.DRAFT: _stays,
    State.AWAITING_APPROVAL: _stays,
    State.QUEUED: _queued,
    State.SHADOWING: shadowing,
    State.RUNNING: running,
    State.PAUSED: _stays,
    State.PROMOTING: _promoting,
    State.COMPLETED: _stays,
    State.REVERTING: reverting,
    State.REVERTED: _stays,
    State.FAILED: _stays,
    State.ABORTED: _stays,
}
"""What each state does; True where the rollout has come into another one."""
