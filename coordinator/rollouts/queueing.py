"""Two rollouts that want the same nodes: which one goes first. Pure.

One that has begun keeps its nodes until it ends. Of those that have not, the higher priority goes first, then the
older one.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from coordinator.rollouts.records import Member, Rollout
from coordinator.rollouts.states import ENDED, Stage, State
from protos.identity import NodeId

WANTS_NOTHING = ENDED | {State.DRAFT, State.AWAITING_APPROVAL}


def goes_before(other: Rollout, rollout: Rollout) -> bool:
    """Whether the other one has the nodes that both want."""
    return other.id != rollout.id and other.state not in WANTS_NOTHING and _rank(other) < _rank(rollout)


def held_by_others(
    rollout: Rollout, memberships: Mapping[NodeId, Iterable[tuple[Rollout, Member]]]
) -> dict[NodeId, str]:
    """The nodes that another rollout has, which goes before this one → its id."""
    return {
        node: other.id
        for node, found in memberships.items()
        for other, member in found
        if member.stage is not Stage.LEFT and goes_before(other, rollout)
    }


def _rank(rollout: Rollout) -> tuple[bool, int, datetime, str]:
    waits = State.QUEUED in (rollout.state, rollout.resumes if rollout.state is State.PAUSED else None)
    not_begun = waits or rollout.state in WANTS_NOTHING
    return not_begun, -rollout.spec.priority, rollout.created_at, rollout.id
