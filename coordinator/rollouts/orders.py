"""What becomes of a rollout when a person orders something. Pure; whether the person may is decided in the API."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from coordinator.errors import Conflict
from coordinator.rollouts.records import Decision, Member, Rollout
from coordinator.rollouts.reverting import revert
from coordinator.rollouts.running import begin_waves
from coordinator.rollouts.states import HAS_NEW, ORDERS, Order, Stage, State
from coordinator.rollouts.turn import Turn
from protos.identity import NodeId


def order(rollout: Rollout, members: Mapping[NodeId, Member], what: Order, by: str, now: datetime) -> Decision:
    """What the order changes at once; `advance` goes on from there.

    Args:
        rollout: as it is.
        members: all of its members.
        what: the order.
        by: who gives it, for the record.
        now: aware.

    Raises:
        Conflict: the rollout's state does not allow it.
    """
    allowed = ORDERS[rollout.state]
    if what not in allowed:
        may = f"it allows {', '.join(sorted(allowed))}" if allowed else "nothing can be ordered of it any more"
        raise Conflict(f"rollout {rollout.id} is {rollout.state}: {what} is not possible; {may}")
    if what is Order.REVERT and rollout.before_digest == rollout.after_digest:
        raise Conflict(f"rollout {rollout.id}: both versions are the same bundle; abort gives it up")
    turn = Turn(rollout, members, now)
    turn.tell("order", f"{by}: {what}", order=str(what), by=by)
    _EFFECTS[what](turn, by)
    return turn.decision()


def _start(turn: Turn, _: str) -> None:
    if turn.rollout.spec.approval:
        turn.become(State.AWAITING_APPROVAL, "waits for an admin's promote")
    else:
        turn.become(State.QUEUED)


def _promote(turn: Turn, by: str) -> None:
    match turn.rollout.state:
        case State.AWAITING_APPROVAL:
            turn.become(State.QUEUED)
            turn.rollout = replace(turn.rollout, approved_by=by)
        case State.SHADOWING:
            begin_waves(turn)
        case State.FAILED if turn.rollout.resumes is State.SHADOWING:
            _go_on(turn)
            begin_waves(turn)
        case State.FAILED:
            turn.rollout = replace(turn.rollout, promoted=turn.rollout.wave)
            _go_on(turn)
        case _:
            turn.rollout = replace(turn.rollout, promoted=turn.rollout.wave, reason="")


def _pause(turn: Turn, by: str) -> None:
    turn.become(State.PAUSED, f"by {by}", resumes=turn.rollout.state)


def _resume(turn: Turn, _: str) -> None:
    _go_on(turn)


def _go_on(turn: Turn) -> None:
    """Back into the state where it stopped; after a failure the members that failed try again."""
    rollout = turn.rollout
    if rollout.state is State.FAILED:
        for member in turn.at(Stage.FAILED, Stage.REVERTING, Stage.REVERTED):
            turn.move(member, Stage.WAITING)
        turn.rollout = replace(turn.rollout, attempt=rollout.attempt + 1)
    turn.become(rollout.resumes or State.RUNNING)
    turn.rollout = replace(turn.rollout, progress_at=turn.now)


def _abort(turn: Turn, by: str) -> None:
    if turn.rollout.state is State.RUNNING or turn.at(*HAS_NEW):  # who is on the way back has its document already
        revert(turn, State.ABORTED, f"aborted by {by}")
        return
    turn.become(State.ABORTED, f"by {by}")
    for member in turn.at(Stage.SHADOWING):
        turn.move(member, Stage.WAITING)


def _revert(turn: Turn, by: str) -> None:
    revert(turn, State.REVERTED, f"reverted by {by}")


_EFFECTS: dict[Order, Callable[[Turn, str], None]] = {
    Order.START: _start,
    Order.PROMOTE: _promote,
    Order.PAUSE: _pause,
    Order.RESUME: _resume,
    Order.ABORT: _abort,
    Order.REVERT: _revert,
}
