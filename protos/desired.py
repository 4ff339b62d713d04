"""Desired state: the signed document by which a coordinator tells a node what to run.

It holds digests and references, never large content and never secrets. `(epoch, revision)` only ever rises for a
node; the epoch rises when a coordinator is restored from a backup.
"""

from typing import Literal

import msgspec

from protos.deployment import Pipeline, Serving
from protos.digest import Digest, digest_of
from protos.evidence import Shadow, Trial
from protos.identity import NodeId
from protos.moments import Moment


class DesiredDeployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment as a node needs it: the version resolved to its bundle's digest."""

    name: str
    model: str
    version: int
    digest: Digest
    pipelines: tuple[Pipeline, ...]
    strategy: Literal["switch_when_ready", "stop_first"] = "switch_when_ready"
    variant: str | None = None
    serving: Serving | None = None
    trial: Trial | None = None
    """the version is on trial: the one before stays the last good one until a document without it"""
    shadow: Shadow | None = None
    """another version that runs beside it, whose answers never leave the node"""


class Desired(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a node should run and be called. `issued_at` is RFC 3339 UTC.

    From `expires_at` on it is not adopted any more: a broker that keeps the newer ones back cannot freeze a node that
    begins anew. What was adopted before runs on. `trust_root` is the number of the newest root: a node that holds an
    older one asks for it.
    """

    node: NodeId
    epoch: int
    revision: int
    issued_at: str
    name: str
    site: str
    deployments: tuple[DesiredDeployment, ...] = ()
    expires_at: Moment | None = None
    trust_root: int = 0


def encode_desired(desired: Desired) -> bytes:
    """The payload to sign."""
    return msgspec.json.encode(desired, order="deterministic")


def state_digest(payload: bytes) -> Digest:
    """The digest that `hello` and `reported` name the document by."""
    return digest_of(payload)
