"""Desired state: the signed document by which a coordinator tells a node what to run.

It holds digests and references, never large content and never secrets. `(epoch, revision)` only ever rises for a
node; the epoch rises when a coordinator is restored from a backup.
"""

from typing import Literal

import msgspec

from protos.deployment import Pipeline
from protos.digest import Digest, digest_of
from protos.identity import NodeId


class DesiredDeployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment as a node needs it: the version resolved to its bundle's digest."""

    name: str
    model: str
    version: int
    digest: Digest
    pipelines: tuple[Pipeline, ...]
    strategy: Literal["switch_when_ready", "stop_first"] = "switch_when_ready"
    variant: str | None = None


class Desired(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a node should run and be called. `issued_at` is RFC 3339 UTC."""

    node: NodeId
    epoch: int
    revision: int
    issued_at: str
    name: str
    site: str
    deployments: tuple[DesiredDeployment, ...] = ()


def encode_desired(desired: Desired) -> bytes:
    """The payload to sign."""
    return msgspec.json.encode(desired, order="deterministic")


def state_digest(payload: bytes) -> Digest:
    """The digest that `hello` and `reported` name the document by."""
    return digest_of(payload)
