"""What the coordinator keeps of nodes and deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from coordinator.fleet.presence import Connection
from protos.deployment import Deployment
from protos.digest import Digest
from protos.identity import NodeId
from protos.reported import Facts, Reported


@dataclass(frozen=True)
class Node:
    """A node: an id that never changes, and everything else that may."""

    id: NodeId
    site: str
    name: str
    labels: Mapping[str, str]
    facts: Facts
    registered_at: datetime
    connection: Connection = field(default_factory=Connection)
    last_seen: datetime | None = None
    held_digest: Digest | None = None
    """the desired document that the node says it holds"""
    reported: Reported | None = None

    @property
    def full_name(self) -> str:
        """`site/name`, unique among nodes."""
        return f"{self.site}/{self.name}"

    @property
    def selectable(self) -> dict[str, str]:
        """What a selector sees: the node's labels, with its site and its name."""
        return {**self.labels, "site": self.site, "name": self.name}


@dataclass(frozen=True)
class Applied:
    """A deployment as it was applied, with the digest that its model version stands for."""

    spec: Deployment
    digest: Digest
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Issued:
    """The newest desired document of a node: the bytes that are signed, and their digest."""

    node: NodeId
    epoch: int
    revision: int
    digest: Digest
    payload: bytes
