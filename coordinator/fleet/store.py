"""The seam between the fleet and the database: what a transaction offers, noun by noun."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from coordinator.audit.log import AuditRows
from coordinator.fleet.records import Applied, Issued, IssuedCertificate, JoinTokenRecord, Node, Override, Revocation
from coordinator.fleet.traffic import Traffic
from protos.digest import Digest
from protos.identity import NodeId


class Nodes(Protocol):
    """The rows of nodes."""

    def all(self) -> tuple[Node, ...]:
        """All nodes, by site and name."""

    def changes(self) -> Mapping[NodeId, int]:
        """How often every node was stored: much less to read than the nodes."""

    def of(self, nodes: Iterable[NodeId]) -> tuple[Node, ...]:
        """These nodes, in no order."""

    def get(self, node: NodeId) -> Node | None:
        """One node by its id."""

    def named(self, site: str, name: str) -> Node | None:
        """One node by what it is called."""

    def put(self, node: Node) -> None:
        """Store a node, new or known."""

    def remove(self, node: NodeId) -> None:
        """Delete a node and its desired document."""


class Deployments(Protocol):
    """The rows of deployments."""

    def all(self) -> tuple[Applied, ...]:
        """All deployments, the oldest first."""

    def get(self, name: str) -> Applied | None:
        """One deployment."""

    def put(self, deployment: Applied) -> None:
        """Store a deployment, new or known."""

    def remove(self, name: str) -> None:
        """Delete a deployment."""


class Documents(Protocol):
    """The newest desired document of each node."""

    def all(self) -> Mapping[NodeId, Issued]:
        """All documents."""

    def of(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, Issued]:
        """The documents of these nodes."""

    def get(self, node: NodeId) -> Issued | None:
        """The document of one node."""

    def put(self, issued: Issued) -> None:
        """Store a node's newest document."""

    def put_all(self, issued: Iterable[Issued]) -> None:
        """Store the newest documents of several nodes."""


class Overrides(Protocol):
    """What deployments are on single nodes for a while, other than everywhere."""

    def of(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, Mapping[str, Override]]:
        """Of these nodes, by deployment."""


class Retained(Protocol):
    """Retained topics that must be cleared, and the nodes that were deleted."""

    def add(self, node: NodeId, topics: Iterable[str]) -> None:
        """These topics of a node must be cleared."""

    def keep(self, topics: Collection[str]) -> None:
        """These topics are in use again."""

    def pending(self) -> tuple[str, ...]:
        """The topics that are still to be cleared."""

    def cleared(self, topics: Collection[str]) -> None:
        """These topics were cleared."""

    def reopen(self, node: NodeId) -> None:
        """The node may have written to its topics again: all of them must be cleared once more."""

    def settle(self, node: NodeId) -> None:
        """The node runs its newest document: topics of it that were cleared need no further thought."""

    def forget(self, node: NodeId, at: datetime) -> None:
        """The node was deleted."""

    def is_forgotten(self, node: NodeId) -> bool:
        """Whether the node was deleted."""


class Traffics(Protocol):
    """The bytes that nodes took in and let out."""

    def all(self) -> Mapping[NodeId, Traffic]:
        """The traffic of all nodes that have told of it."""

    def get(self, node: NodeId) -> Traffic | None:
        """The traffic of one node."""

    def put(self, one: Traffic) -> None:
        """Store the newest traffic of a node."""


class Releases(Protocol):
    """What the fleet needs to know of model versions."""

    def digest_of(self, model: str, version: int) -> Digest | None:
        """The digest of a version's bundle, or None where there is no such version."""


class JoinTokens(Protocol):
    """The rows of join tokens."""

    def all(self) -> tuple[JoinTokenRecord, ...]:
        """All tokens, the newest first."""

    def get(self, digest: str) -> JoinTokenRecord | None:
        """One token by the digest of its secret."""

    def of_node(self, node: NodeId) -> JoinTokenRecord | None:
        """The token that a node used."""

    def add(self, token: JoinTokenRecord) -> None:
        """A new token."""

    def use(self, digest: str, node: NodeId, at: datetime) -> bool:
        """Mark a token as used by a node; False where somebody was first."""

    def remove(self, digest: str) -> None:
        """Delete a token."""


class Certificates(Protocol):
    """The newest certificate of each principal."""

    def all(self) -> tuple[IssuedCertificate, ...]:
        """All, by principal."""

    def get(self, principal: str) -> IssuedCertificate | None:
        """The newest of a principal."""

    def put(self, certificate: IssuedCertificate) -> None:
        """Remember a principal's newest."""


class Revoked(Protocol):
    """Principals that are refused."""

    def all(self) -> tuple[Revocation, ...]:
        """All, the newest first."""

    def get(self, principal: str) -> Revocation | None:
        """A principal's revocation."""

    def add(self, revocation: Revocation) -> None:
        """Revoke a principal, for good; the first time counts."""


class RootNumbers(Protocol):
    """What the fleet needs to know of trust roots."""

    def newest_number(self) -> int:
        """The number of the newest root; 0 where there is none."""


class Transaction(Protocol):
    """What the fleet sees of a transaction."""

    @property
    def roots(self) -> RootNumbers:
        """Trust roots."""

    @property
    def nodes(self) -> Nodes:
        """Nodes."""

    @property
    def deployments(self) -> Deployments:
        """Deployments."""

    @property
    def documents(self) -> Documents:
        """Desired documents."""

    @property
    def overrides(self) -> Overrides:
        """What rollouts make of deployments."""

    @property
    def retained(self) -> Retained:
        """Retained topics to clear."""

    @property
    def join_tokens(self) -> JoinTokens:
        """Join tokens."""

    @property
    def certificates(self) -> Certificates:
        """Certificates."""

    @property
    def revoked(self) -> Revoked:
        """The deny-list."""

    @property
    def versions(self) -> Releases:
        """Model versions."""

    @property
    def audit(self) -> AuditRows:
        """The audit log."""

    @property
    def traffic(self) -> Traffics:
        """Bytes in and out."""

    def epoch(self) -> int:
        """The epoch of the documents issued now."""

    def raise_epoch(self, epoch: int) -> None:
        """Go on in a higher epoch."""


class Store(Protocol):
    """Where the fleet is kept; `write` commits at the end of its block, and one writer follows the other."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes."""
