"""Which desired document may be adopted. Pure: raises or returns, touches nothing.

The rules: signed by a key that this node pinned; made for this node; not older than the adopted one by
(epoch, revision); the same (epoch, revision) only with the same content; not expired. What was adopted once stays,
expired or not. Acknowledgements: `edge_node.outbox.acked`; which versions may be run: `release`.

    adopted = adopt(envelope, node, trusted, current, now)
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from edge_node.errors import Refused
from protos import envelope
from protos.desired import Desired, state_digest
from protos.digest import Digest
from protos.errors import ContractError
from protos.identity import NodeId
from protos.reading import read_json

T = TypeVar("T")


class Stale(Refused):
    """An older document than the adopted one: what a broker had retained, or a replay. Harmless."""


@dataclass(frozen=True)
class Adopted:
    """A desired document with the envelope that proves it."""

    sealed: bytes
    digest: Digest
    desired: Desired


def adopt(sealed: bytes, node: NodeId, trusted: frozenset[bytes], current: Adopted | None, now: datetime) -> Adopted:
    """The document in an envelope, where it may replace the current one; the current one where it is the same.

    Args:
        sealed: the envelope.
        node: this node.
        trusted: the coordinator's raw public keys.
        current: what is adopted now.
        now: the node's own clock.

    Raises:
        Stale: it is older.
        Refused: why else it may not.
    """
    adopted = opened(sealed, trusted)
    desired = adopted.desired
    if desired.node != node:
        raise Refused(f"a desired document for node {desired.node}, not for this one")
    if current is None or _age(desired) > _age(current.desired):
        return _fresh(adopted, now)
    if _age(desired) < _age(current.desired):
        raise Stale(
            f"desired document {_named(desired)} is older than the adopted {_named(current.desired)}: "
            "a replay, or a coordinator restored from a backup without a new epoch"
        )
    if adopted.digest != current.digest:
        raise Refused(f"two different desired documents are called {_named(desired)}: keeping the first")
    return current


def opened(sealed: bytes, trusted: frozenset[bytes]) -> Adopted:
    """The document in an envelope that a trusted key signed.

    Raises:
        Refused: no trusted signature, or not a desired document.
    """
    payload, desired = believed(sealed, envelope.DESIRED, Desired, trusted, "desired document")
    return Adopted(sealed, state_digest(payload), desired)


def believed(sealed: bytes, payload_type: str, kind: type[T], trusted: frozenset[bytes], what: str) -> tuple[bytes, T]:
    """What a coordinator says in an envelope: the payload, and what it reads as.

    Raises:
        Refused: no trusted signature, or not readable; begins with `what`.
    """
    try:
        payload = envelope.open_sealed(sealed, payload_type, trusted)
    except ContractError as error:
        raise Refused(f"{what}: {error}") from None
    try:
        return payload, read_json(payload, kind, "signed, but not readable")
    except ContractError as error:
        raise Refused(f"{what}: {error}: update this agent") from None


def pipeline_names(adopted: Adopted | None) -> frozenset[str]:
    """The pipelines that a document names."""
    wanted = () if adopted is None else adopted.desired.deployments
    return frozenset(pipeline.name for target in wanted for pipeline in target.pipelines)


def _fresh(adopted: Adopted, now: datetime) -> Adopted:
    ends = adopted.desired.expires_at
    if ends is not None and now >= ends:
        raise Refused(
            f"desired document {_named(adopted.desired)} has expired ({ends:%Y-%m-%d}): somebody keeps newer "
            "ones back, or this device's clock is wrong"
        )
    return adopted


def _age(desired: Desired) -> tuple[int, int]:
    return desired.epoch, desired.revision


def _named(desired: Desired) -> str:
    return f"{desired.epoch}.{desired.revision}"
