"""Who starts now, and what each of the others waits for. Pure."""

from dataclasses import dataclass

from coordinator.rollouts.limits import cap_of, choose, in_order
from coordinator.rollouts.observing import offline
from coordinator.rollouts.records import Member
from coordinator.rollouts.states import Stage
from coordinator.rollouts.turn import Turn, nodes_text
from coordinator.rollouts.windows import ALWAYS, Opening, opening


@dataclass(frozen=True)
class Started:
    """How many members were given the new version, and how many wait for something that is nobody's fault."""

    count: int
    held: int
    """members outside their window, or of another rollout"""


def start(turn: Turn) -> Started:
    """Give the new version to as many members of the waves under way as have a place."""
    ready, held = [], 0
    openings = _Openings(turn)
    for member in turn.at(Stage.WAITING):
        reason = _later(turn, member)
        if not reason and not turn.views[member.node].online:
            turn.move(member, Stage.ABSENT, offline(turn.views[member.node]))
            continue
        if not reason:
            reason = _held(turn, member, openings)
            held += bool(reason)
        if reason:
            turn.explain(member, reason)
        else:
            ready.append(member)
    return Started(_choose(turn, ready), held)


def shadow(turn: Turn) -> None:
    """Run the candidate beside the version before on the canary's nodes that are there."""
    begun = []
    for member in in_order(turn.rollout.id, turn.at(Stage.WAITING)):
        view = turn.views[member.node]
        reason = _later(turn, member) or _taken(turn, member) or ("" if view.online else offline(view))
        if reason:
            turn.explain(member, reason)
        else:
            turn.move(member, Stage.SHADOWING)
            begun.append(member.node)
    if begun:
        turn.tell("member", f"the candidate runs in the shadow on {nodes_text(len(begun))}", nodes=begun)


def _choose(turn: Turn, ready: list[Member]) -> int:
    rollout, in_flight = turn.rollout, turn.at(Stage.ORDERED)
    cap = cap_of(rollout.spec, len(turn.members))
    chosen = choose(rollout.id, rollout.spec, cap, ready, in_flight, turn.views)
    for member in ready:
        if member.node in chosen.waiting:
            turn.explain(member, chosen.waiting[member.node])
    for member in chosen.starters:
        turn.move(member, Stage.ORDERED)
    if chosen.starters:
        turn.progressed()
        count = len(in_flight) + len(chosen.starters)
        whom = f"{nodes_text(len(chosen.starters))} of wave {rollout.wave} or before it"
        text = f"the new version goes to {whom}: {count} of {cap} in flight"
        turn.tell("member", text, nodes=[member.node for member in chosen.starters], in_flight=count, cap=cap)
    return len(chosen.starters)


def _later(turn: Turn, member: Member) -> str:
    return f"waits for wave {member.wave}" if member.wave > turn.rollout.wave else ""


def _taken(turn: Turn, member: Member) -> str:
    other = turn.others.get(member.node)
    return f"rollout {other} has it" if other else ""


def _held(turn: Turn, member: Member, openings: "_Openings") -> str:
    found = openings.of(turn.views[member.node].timezone)
    return _taken(turn, member) or ("" if found.open else f"outside its window until {found.text}")


class _Openings:
    """The windows in each time zone, looked up once."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._of: dict[str, Opening] = {}

    def of(self, zone: str) -> Opening:
        """Whether a node there may start now."""
        if not self._turn.rollout.spec.windows:
            return ALWAYS
        if zone not in self._of:
            found = self._of[zone] = opening(self._turn.rollout.spec.windows, zone, self._turn.now)
            if found.at is not None:
                self._turn.wake(found.at)
        return self._of[zone]
