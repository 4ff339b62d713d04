"""Which members may start next: places of `max_parallel`, of a site, of a group; in the order wave, then hash. Pure.

A member that does not start gets one line that says what it waits for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from coordinator.rollouts.records import Member, View
from coordinator.rollouts.shares import at_most
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.waves import place
from protos.identity import NodeId


@dataclass(frozen=True)
class Chosen:
    """Who starts, and what each of the others waits for."""

    starters: tuple[Member, ...]
    waiting: Mapping[NodeId, str]


def cap_of(spec: RolloutSpec, members: int) -> int:
    """How many of so many members may be in flight at once."""
    return max(1, at_most(spec.max_parallel, members))


def tolerated(spec: RolloutSpec, members: int) -> int:
    """How many of so many members may fail without stopping the rollout."""
    return at_most(spec.max_failures, members)


def in_order(rollout: str, members: Iterable[Member]) -> list[Member]:
    """The order in which members start."""
    return sorted(members, key=lambda member: (member.wave, place(rollout, member.node)))


def choose(
    rollout: str,
    spec: RolloutSpec,
    cap: int,
    ready: Iterable[Member],
    in_flight: Iterable[Member],
    views: Mapping[NodeId, View],
) -> Chosen:
    """Who of the ready members starts beside those in flight.

    Args:
        rollout: its id.
        spec: the rollout's.
        cap: how many may be in flight.
        ready: members that nothing else holds back.
        in_flight: members that have a place.
        views: of all of both.
    """
    places = _Places(spec, cap, (views[member.node] for member in in_flight))
    starters: list[Member] = []
    later: list[Member] = []
    candidates = list(ready)
    for member in candidates if places.full else in_order(rollout, candidates):
        if places.taken_for(views[member.node]):
            later.append(member)
        else:
            places.take(views[member.node])
            starters.append(member)
    return Chosen(tuple(starters), {member.node: places.taken_for(views[member.node]) for member in later})


class _Places:
    """The places that are taken."""

    def __init__(self, spec: RolloutSpec, cap: int, views: Iterable[View]) -> None:
        self._spec = spec
        self._cap = cap
        self._taken: Counter[tuple[str, str]] = Counter()
        self._count = 0
        for view in views:
            self.take(view)

    @property
    def full(self) -> bool:
        """Whether nobody else may start."""
        return self._count >= self._cap

    def taken_for(self, view: View) -> str:
        """Why there is no place for the node; empty where there is one."""
        if self.full:
            return f"waits for a place: {self._count} of {self._cap} in flight"
        for kind, value, limit in self._limits(view):
            if self._taken[kind, value] >= limit:
                return f"waits for a place of {kind} {value}: {limit} of {limit} in flight"
        return ""

    def take(self, view: View) -> None:
        """One place less."""
        self._count += 1
        self._taken.update((kind, value) for kind, value, _ in self._limits(view))

    def _limits(self, view: View) -> Iterator[tuple[str, str, int]]:
        if self._spec.per_site:
            yield "site", view.site, self._spec.per_site
        for key, limit in self._spec.per_group.items():
            if key in view.labels:
                yield key, view.labels[key], limit
