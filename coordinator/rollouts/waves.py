"""Which wave a node is in: a stable split by hash, so that a node's wave never changes. Pure.

Every member has a fraction of its own, SHA-256 of the rollout's and the node's id as a part of 2^256. At the creation
those with the smallest fractions are the canary, the next ones the wave after it: a wave has exactly the number of
nodes that its share says, at least one in the first. A node that appears later goes where its fraction falls.
"""

import hashlib
from collections.abc import Collection
from fractions import Fraction
from functools import lru_cache

from coordinator.rollouts.records import Member
from coordinator.rollouts.shares import about, fraction_of
from coordinator.rollouts.spec import RolloutSpec
from protos.identity import NodeId


def shares_of(spec: RolloutSpec) -> tuple[str, ...]:
    """The cumulative shares of the waves, the canary's first; the last is all."""
    shares = (spec.canary, *spec.waves) if spec.canary else spec.waves
    return shares if shares and shares[-1] == "100%" else (*shares, "100%")


@lru_cache(maxsize=1 << 16)
def place(rollout: str, node: NodeId) -> int:
    """The node's fraction, in parts of 2^256: also its place in the order in which members start."""
    return int.from_bytes(hashlib.sha256(f"{rollout}/{node}".encode()).digest(), "big")


def enrolled(rollout: str, spec: RolloutSpec, known: int, nodes: Collection[NodeId]) -> tuple[Member, ...]:
    """The members that these nodes become.

    Args:
        rollout: its id.
        spec: the rollout's.
        known: how many members it has; 0 at its creation.
        nodes: those that are no members yet.
    """
    ordered = sorted(nodes, key=lambda node: place(rollout, node))
    if known:
        return tuple(Member(node, _late_wave(rollout, spec, known, node)) for node in ordered)
    reaches = _reaches(spec, len(ordered))
    return tuple(Member(node, _wave_at(rank, reaches)) for rank, node in enumerate(ordered))


def _reaches(spec: RolloutSpec, total: int) -> tuple[int, ...]:
    """How many members have started when each wave is over; rises, begins with at least one and ends with all."""
    reaches: list[int] = []
    for share in shares_of(spec):
        reaches.append(max(about(share, total), reaches[-1] if reaches else 1))
    return tuple(reaches)


def _wave_at(rank: int, reaches: tuple[int, ...]) -> int:
    return next(wave for wave, reach in enumerate(reaches) if rank < reach)


def _late_wave(rollout: str, spec: RolloutSpec, known: int, node: NodeId) -> int:
    fraction = Fraction(place(rollout, node), 1 << 256)
    shares = shares_of(spec)
    return next(wave for wave, share in enumerate(shares) if fraction < fraction_of(share, known) or share == "100%")
