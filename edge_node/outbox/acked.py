"""Decides whether an acknowledgement may free results: signed by the coordinator, and of this stream."""

from protos.envelope import ACKED, open_sealed
from protos.errors import ContractError
from protos.identity import StreamId
from protos.reading import read_json
from protos.reported import Acked


def accept_acked(envelope: bytes, trusted: frozenset[bytes], stream: StreamId) -> int | None:
    """The number that everything is committed through; None if the acknowledgement is of another stream.

    Args:
        envelope: the payload of the `acked` topic.
        trusted: raw Ed25519 public keys, pinned on first contact.
        stream: the outbox's own stream. An older stream's retained acknowledgement says nothing about it.

    Raises:
        ContractError: not an acknowledgement, or not signed by a trusted key.
    """
    acked = acknowledgement(envelope, trusted)
    return acked.through if acked.stream == stream else None


def acknowledgement(envelope: bytes, trusted: frozenset[bytes]) -> Acked:
    """An acknowledgement that a trusted key signed, of whatever stream.

    Raises:
        ContractError: not an acknowledgement, or not signed by a trusted key.
    """
    acked = read_json(open_sealed(envelope, ACKED, trusted), Acked, "not an acknowledgement")
    if acked.through < 0:
        raise ContractError(f"an acknowledgement through {acked.through}: numbers begin at 1")
    return acked
