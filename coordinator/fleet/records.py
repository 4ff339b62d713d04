"""What the coordinator keeps of nodes and deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from coordinator.fleet.presence import Connection
from protos.deployment import Deployment
from protos.digest import Digest
from protos.evidence import Shadow, Trial
from protos.identity import NodeId
from protos.reported import Facts, Reported

TOKEN_ID_DIGITS = 12


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
class Override:
    """What is made of a deployment on one node for a while: another specification, with its digest, on trial; or a
    candidate beside it.
    """

    spec: Deployment | None = None
    digest: Digest | None = None
    trial: Trial | None = None
    shadow: Shadow | None = None


@dataclass(frozen=True)
class Issued:
    """The newest desired document of a node: the bytes that are signed, and their digest."""

    node: NodeId
    epoch: int
    revision: int
    digest: Digest
    payload: bytes


@dataclass(frozen=True)
class JoinTokenRecord:
    """What is kept of a join token; `digest` is the SHA-256 of its secret."""

    digest: str
    site: str
    name: str | None
    """what its node will be called; None: the device says"""
    labels: Mapping[str, str]
    replaces: NodeId | None
    """the node whose place its node takes"""
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    node: NodeId | None = None
    """the node that used it"""

    @property
    def id(self) -> str:
        """What people call it."""
        return self.digest[:TOKEN_ID_DIGITS]


@dataclass(frozen=True)
class IssuedCertificate:
    """The newest certificate of a principal."""

    principal: str
    serial: str
    key_digest: str
    not_after: datetime
    issued_at: datetime
    pem: bytes


@dataclass(frozen=True)
class Revocation:
    """A principal that is refused from `at` on, by whom and why."""

    principal: str
    at: datetime
    by: str
    reason: str
