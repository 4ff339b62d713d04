"""The seam between the fleet and the database: what a transaction offers, noun by noun."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from coordinator.fleet.records import Applied, Issued, Node
from protos.digest import Digest
from protos.identity import NodeId


class Nodes(Protocol):
    """The rows of nodes."""

    def all(self) -> tuple[Node, ...]:
        """All nodes, by site and name."""

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


class Releases(Protocol):
    """What the fleet needs to know of model versions."""

    def digest_of(self, model: str, version: int) -> Digest | None:
        """The digest of a version's bundle, or None where there is no such version."""


class Transaction(Protocol):
    """What the fleet sees of a transaction."""

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
    def retained(self) -> Retained:
        """Retained topics to clear."""

    @property
    def versions(self) -> Releases:
        """Model versions."""

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
