"""The seam between rollouts and the database: rows of a transaction, and the lease that says who acts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from coordinator.rollouts.records import Event, Member, Rollout
from protos.identity import NodeId


@dataclass(frozen=True)
class Lease:
    """Who may act until when. `fence` rises with every new holder; a write with an older one is refused."""

    holder: str
    fence: int
    until: datetime


class Rollouts(Protocol):
    """The rows of rollouts, their members and their events."""

    def all(self) -> tuple[Rollout, ...]:
        """All, the newest first."""

    def active(self) -> tuple[Rollout, ...]:
        """Those that have not ended, the oldest first."""

    def get(self, rollout: str) -> Rollout | None:
        """One by its id."""

    def newest_of(self, deployment: str) -> Rollout | None:
        """The newest of a deployment."""

    def put(self, rollout: Rollout) -> None:
        """Store it, new or known."""

    def members(self, rollout: str) -> tuple[Member, ...]:
        """Its members, by wave and node."""

    def memberships(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, tuple[tuple[str, Member], ...]]:
        """The members that these nodes are in rollouts that have not ended, with the rollout's id."""

    def put_members(self, rollout: str, members: Iterable[Member]) -> None:
        """Store members, new or known."""

    def events(self, rollout: str) -> tuple[Event, ...]:
        """What was decided, the oldest first."""

    def add_events(self, rollout: str, events: Iterable[Event]) -> None:
        """Remember what was decided."""


class Leases(Protocol):
    """The rows of leases."""

    def get(self, name: str) -> Lease | None:
        """Who holds it, or held it last."""

    def put(self, name: str, lease: Lease) -> None:
        """Who holds it now."""
