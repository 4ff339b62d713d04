"""What a device asks where nodes are enrolled: for an identity, for the time, for a new certificate.

Each question runs in the child process of `grpc.py` (its answers there: `grpc_enrollment.py`). The authority is that
of the token, or pinned; secrets and keys go through pipes and files, never through a command line.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_node.errors import NearfieldError, Unanswered, Unreachable
from edge_node.link.child import ask
from edge_node.link.coordinator import CALL_S, MODULE
from protos.identity import NodeId
from protos.join_token import JoinToken


class Enroll(msgspec.Struct, frozen=True, tag=True):
    """Use up a token. `key_file` holds the new key; `ca` is the fingerprint that the token pins."""

    address: str
    ca: bytes
    secret: bytes
    key_file: str
    name: str
    labels: dict[str, str]
    facts_json: str
    deadline_s: float = CALL_S


class AskTime(msgspec.Struct, frozen=True, tag=True):
    """Ask for a signed time statement that repeats the nonce. `authorities` is a file."""

    address: str
    authorities: str
    nonce: bytes
    deadline_s: float = CALL_S


class Renew(msgspec.Struct, frozen=True, tag=True):
    """Prove the key and ask for a new certificate for it. The files of the present identity."""

    address: str
    authorities: str
    certificate_file: str
    key_file: str
    nonce: bytes
    deadline_s: float = CALL_S


class AskRoots(msgspec.Struct, frozen=True, tag=True):
    """Ask for the trust roots, of whoever answers: their signatures say whether they count."""

    address: str
    deadline_s: float = CALL_S


class Certified(msgspec.Struct, frozen=True, tag=True):
    """A certificate and what belongs to it, all PEM; its times in seconds since 1970."""

    certificate: bytes
    authorities: tuple[bytes, ...]
    not_before: float
    not_after: float


class Enrolled(msgspec.Struct, frozen=True, tag=True):
    """An identity. Hosts that the coordinator left open have become the one that was dialled."""

    node_id: NodeId
    name: str
    site: str
    certified: Certified
    coordinator: str
    enrollment: str
    broker_url: str
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]
    trust_roots: tuple[bytes, ...] = ()
    replaces: str = ""
    """the node whose place this one took, or empty"""


class TimeStatement(msgspec.Struct, frozen=True, tag=True):
    """A sealed time statement, to be verified by who asked."""

    sealed: bytes


class Roots(msgspec.Struct, frozen=True, tag=True):
    """Envelopes of trust roots, the oldest first; nobody has looked at them yet."""

    told: tuple[bytes, ...]


class Renewed(msgspec.Struct, frozen=True, tag=True):
    """A new certificate, and the sealed time statement that came with the challenge."""

    certified: Certified
    time: bytes


async def enroll(
    token: JoinToken, address: str, key_file: Path, *, name: str, labels: dict[str, str], facts_json: str
) -> Enrolled:
    """Use up the token at one address, for the key in the file.

    Raises:
        Unreachable: nobody answers there.
        Stranger: another coordinator answers; it was not told the secret.
        Refused: the coordinator says no, or its answer breaks the contract.
    """
    request = Enroll(
        address=address,
        ca=token.ca,
        secret=token.secret,
        key_file=str(key_file),
        name=name,
        labels=labels,
        facts_json=facts_json,
    )
    return await ask(MODULE, request, Enrolled)


async def ask_time(address: str, authorities: Path, nonce: bytes) -> bytes:
    """A sealed time statement, unverified.

    Raises:
        Unreachable, Refused: as `enroll`.
    """
    return (await ask(MODULE, AskTime(address, str(authorities), nonce), TimeStatement)).sealed


async def ask_roots(address: str) -> tuple[bytes, ...]:
    """The trust roots that somebody hands out, unverified.

    Raises:
        Unreachable, Refused: as `enroll`.
    """
    return (await ask(MODULE, AskRoots(address), Roots)).told


async def renew(address: str, authorities: Path, certificate: Path, key: Path, nonce: bytes) -> Renewed:
    """A new certificate for the key of the present one, which may have expired.

    Raises:
        Unreachable: nobody answers there.
        Refused: revoked, too late, or the answer breaks the contract.
    """
    return await ask(MODULE, Renew(address, str(authorities), str(certificate), str(key), nonce), Renewed)


def nobody(failures: Sequence[NearfieldError]) -> NearfieldError:
    """One line for a token none of whose addresses led to its coordinator."""
    if len(failures) == 1:
        return failures[0]
    kind = Unanswered if any(isinstance(failure, Unanswered) for failure in failures) else Unreachable
    reasons = "; ".join(str(failure) for failure in failures)
    return kind(f"the token's coordinator was not found ({reasons}): say where it is with --coordinator HOST:PORT")
