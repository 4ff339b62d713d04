"""What a decision grows from while it is made: the rollout and its members as they will be, and what is to be told."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from coordinator.rollouts.records import Decision, Event, Member, Rollout, View
from coordinator.rollouts.states import FOLLOWS, STAGES, Stage, State
from protos.identity import NodeId

AGAIN = frozenset({Stage.ORDERED, Stage.HEALTHY, Stage.FAILED, Stage.SHADOWING, Stage.REVERTING, Stage.REVERTED})
"""Who has been given something in these stages gets it as a new attempt the next time."""
ANEW = frozenset({Stage.WAITING, Stage.ABSENT, Stage.LEFT})


def nodes_text(count: int) -> str:
    """So many nodes, for people."""
    return f"{count} node" if count == 1 else f"{count} nodes"


class Turn:
    """One run of `advance` or `order`. Nothing outside changes."""

    def __init__(
        self,
        rollout: Rollout,
        members: Mapping[NodeId, Member],
        now: datetime,
        views: Mapping[NodeId, View] | None = None,
        others: Mapping[NodeId, str] | None = None,
    ) -> None:
        self.rollout = rollout
        self.views = views or {}
        self.others = others or {}
        self.now = now
        self._members = dict(members)
        self._before = members
        self._changed: set[NodeId] = set()
        self._events: list[Event] = []
        self._wake_at: datetime | None = None

    @property
    def members(self) -> Mapping[NodeId, Member]:
        """All members as they are now."""
        return self._members

    def at(self, *stages: Stage) -> list[Member]:
        """The members in one of these stages."""
        return [member for member in self._members.values() if member.stage in stages]

    def enrol(self, members: Iterable[Member]) -> None:
        """Take new members in."""
        for member in members:
            self._put(member)

    def move(self, member: Member, stage: Stage, reason: str = "") -> None:
        """A member comes into another stage."""
        if stage not in STAGES[member.stage]:
            raise AssertionError(f"a member that is {member.stage} cannot become {stage}")
        again = stage in ANEW and member.stage in AGAIN
        self._put(replace(member, stage=stage, since=self.now, reason=reason, attempt=member.attempt + again))

    def explain(self, member: Member, reason: str) -> None:
        """Why a member is where it is."""
        if member.reason != reason:
            self._put(replace(member, reason=reason))

    def become(self, state: State, reason: str = "", resumes: State | None = None, **detail: object) -> None:
        """The rollout comes into another state, and goes on with `resumes` from there."""
        if state not in FOLLOWS[self.rollout.state]:
            raise AssertionError(f"a rollout that is {self.rollout.state} cannot become {state}")
        self.rollout = replace(self.rollout, state=state, since=self.now, reason=reason, resumes=resumes)
        self.tell("state", f"{state}: {reason}" if reason else str(state), state=str(state), **detail)

    def because(self, reason: str) -> None:
        """Why the rollout is in its state."""
        if self.rollout.reason != reason:
            self.rollout = replace(self.rollout, reason=reason)

    def progressed(self) -> None:
        """A member has begun or become healthy."""
        self.rollout = replace(self.rollout, progress_at=self.now)

    def tell(self, kind: str, text: str, **detail: object) -> None:
        """Something was decided."""
        self._events.append(Event(self.now, kind, text, detail))

    def wake(self, at: datetime) -> None:
        """Time alone will change something then."""
        if at > self.now and (self._wake_at is None or at < self._wake_at):
            self._wake_at = at

    def is_over(self, since: datetime | None, seconds: float) -> bool:
        """Whether so much time has passed since; else the rollout is looked at again when it has."""
        over = (since or self.rollout.since) + timedelta(seconds=seconds)
        self.wake(over)
        return self.now >= over

    def decision(self) -> Decision:
        """What was decided."""
        changed = (self._members[node] for node in sorted(self._changed))
        told = tuple(member for member in changed if self._before.get(member.node) != member)
        return Decision(self.rollout, told, tuple(self._events), self._wake_at)

    def _put(self, member: Member) -> None:
        self._members[member.node] = member
        self._changed.add(member.node)
