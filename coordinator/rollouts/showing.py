"""A rollout as a person sees it: its waves, what the gates say of each, the members that matter most first. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from coordinator.fleet.records import Node
from coordinator.rollouts.gates import Verdict
from coordinator.rollouts.judging import present, service_verdicts, shadow_verdicts
from coordinator.rollouts.records import Event, Member, Rollout, View
from coordinator.rollouts.states import ENDED, HAS_NEW, ORDERS, Stage, State
from coordinator.rollouts.waves import shares_of
from protos.identity import NodeId

FIRST = (
    Stage.FAILED,
    Stage.ORDERED,
    Stage.REVERTING,
    Stage.SHADOWING,
    Stage.ABSENT,
    Stage.WAITING,
    Stage.HEALTHY,
    Stage.REVERTED,
    Stage.LEFT,
)
"""Whoever has trouble, then whoever is under way, then the others."""


@dataclass(frozen=True)
class Wave:
    """One wave: how many nodes, in which stages, and what the gates say now."""

    nodes: int
    stages: Mapping[Stage, int]
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class RolloutDetails:
    """A rollout with all that is known of it; `orders` are those that its state allows."""

    rollout: Rollout
    waves: tuple[Wave, ...] = ()
    members: tuple[tuple[Member, Node], ...] = ()
    events: tuple[Event, ...] = ()
    event_count: int = 0
    """of all, where only the newest are here"""

    @property
    def orders(self) -> tuple[str, ...]:
        """What may be ordered now."""
        return tuple(sorted(ORDERS[self.rollout.state]))


def waves_of(rollout: Rollout, members: Iterable[Member], views: Mapping[NodeId, View]) -> tuple[Wave, ...]:
    """The waves; gates are asked of those that have begun, or of the shadow's nodes while that lasts."""
    of_wave: list[list[Member]] = [[] for _ in shares_of(rollout.spec)]
    for member in members:
        of_wave[member.wave].append(member)
    return tuple(_wave(rollout, found, views) for found in of_wave)


def first_members(members: Iterable[Member], limit: int) -> list[Member]:
    """So many members, those that matter most first; 0: all."""
    ordered = sorted(members, key=lambda member: (FIRST.index(member.stage), member.wave, member.node))
    return ordered[: limit or None]


def named(event: Event, nodes: Mapping[NodeId, Node]) -> Event:
    """The event with the node that it is about called as people call it."""
    node = nodes.get(NodeId(str(event.detail.get("node", ""))))
    return event if node is None else replace(event, text=event.text.replace(node.id, node.full_name))


def _wave(rollout: Rollout, members: list[Member], views: Mapping[NodeId, View]) -> Wave:
    there = [member for member in present(members) if member.node in views]
    verdicts: tuple[Verdict, ...] = ()
    if rollout.state is State.SHADOWING and any(member.stage is Stage.SHADOWING for member in there):
        verdicts = shadow_verdicts(rollout, there, views)
    elif rollout.state not in ENDED and any(member.stage in HAS_NEW for member in there):
        verdicts = service_verdicts(rollout, there, views)
    return Wave(len(members), Counter(member.stage for member in members), verdicts)
