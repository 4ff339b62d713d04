"""A rollout before it begins."""

from dataclasses import dataclass

from coordinator.fleet.records import Node
from coordinator.rollouts.records import Member, Rollout


@dataclass(frozen=True)
class Draft:
    """A rollout that is written down, with its members and the deployment's nodes."""

    rollout: Rollout
    members: tuple[Member, ...]
    nodes: tuple[Node, ...]
