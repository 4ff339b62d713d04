"""What the agent asks its coordinator over gRPC: to be registered, for manifests, for blobs.

Each question runs in a short-lived child process (`grpc.py`), so that the agent never imports gRPC.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_node.link.address import coordinator_address
from edge_node.link.child import ask
from edge_node.link.tls import Credentials
from edge_node.link.validity import UNKNOWN, KnownTime
from protos.digest import Digest
from protos.identity import NodeId

CALL_S = 20.0
"""The total deadline of a question, seconds."""
FETCH_S = 3600.0
"""The total deadline of a blob, seconds; what came is kept and the next fetch goes on from there."""
MAX_BLOB = 4 * 1024**3
MODULE = "edge_node.link.grpc"


class Dial(msgspec.Struct, frozen=True):
    """Whom to call, as whom, and what is known of the time."""

    address: str
    credentials: Credentials
    known: KnownTime = UNKNOWN


class Registration(msgspec.Struct, frozen=True, tag=True):
    """What the coordinator told the node. `trusted_keys` are raw 32-byte Ed25519 public keys."""

    node_id: NodeId
    broker_url: str
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]
    name: str
    site: str
    trust_roots: tuple[bytes, ...] = ()
    """envelopes of protos/trust.py, oldest first, as they came"""


class Manifest(msgspec.Struct, frozen=True, tag=True):
    """The bytes of a manifest, and the signed envelopes that belong to the bundle."""

    content: bytes
    releases: tuple[bytes, ...] = ()
    downgrades: tuple[bytes, ...] = ()


class Fetched(msgspec.Struct, frozen=True, tag=True):
    """How large the file is now."""

    size: int


class Register(msgspec.Struct, frozen=True, tag=True):
    """Register a node, or hear again where the broker is."""

    dial: Dial
    node_id: str
    name: str
    site: str
    labels: dict[str, str]
    facts_json: str
    deadline_s: float


class GetManifest(msgspec.Struct, frozen=True, tag=True):
    """Get the manifest of a bundle."""

    dial: Dial
    digest: str
    deadline_s: float


class FetchBlob(msgspec.Struct, frozen=True, tag=True):
    """Write a blob into a file from an offset on."""

    dial: Dial
    digest: str
    into: str
    offset: int
    max_bytes: int
    deadline_s: float


def checked(dial: Dial) -> Dial:
    """The same, its address looked at.

    Raises:
        BadInput: not host:port.
    """
    coordinator_address(dial.address)
    return dial


async def register(
    dial: Dial,
    *,
    node_id: NodeId | None,
    name: str,
    site: str,
    labels: dict[str, str],
    facts_json: str,
    deadline_s: float = CALL_S,
) -> Registration:
    """Make the node known; what the coordinator tells it.

    Raises:
        BadInput: not an address.
        Unreachable: nobody answers there in time.
        Refused: the coordinator says no (its own line), or its answer breaks the contract.
    """
    request = Register(
        dial=checked(dial),
        node_id=node_id or "",
        name=name,
        site=site,
        labels=labels,
        facts_json=facts_json,
        deadline_s=deadline_s,
    )
    return await ask(MODULE, request, Registration)


async def get_manifest(dial: Dial, digest: Digest, *, deadline_s: float = CALL_S) -> Manifest:
    """The manifest that has this digest, as the coordinator sent it: the store verifies it and what is signed.

    Raises:
        BadInput, Unreachable, Refused: as `register`.
    """
    request = GetManifest(dial=checked(dial), digest=digest, deadline_s=deadline_s)
    return await ask(MODULE, request, Manifest)


async def fetch_blob(
    dial: Dial,
    digest: Digest,
    into: Path,
    offset: int = 0,
    on_progress: Callable[[int], None] | None = None,
    *,
    max_bytes: int = MAX_BLOB,
    deadline_s: float = FETCH_S,
) -> int:
    """Write a blob into a file, from `offset` on; what stood after the offset is lost. The store verifies the digest.

    Args:
        dial: whom.
        digest: which blob.
        into: the file; it is made where it does not exist.
        offset: bytes that the file already holds.
        on_progress: called with the file's size, a few times a second.
        max_bytes: the file never grows beyond this.
        deadline_s: for the whole, however slowly it comes.

    Returns:
        The file's size.

    Raises:
        Unreachable: the connection broke or the deadline passed; what came is in the file.
        Refused: the coordinator says no, or sends more than `max_bytes`.
        NearfieldError: the file cannot be written.
    """
    request = FetchBlob(
        dial=checked(dial),
        digest=digest,
        into=str(into),
        offset=offset,
        max_bytes=max_bytes,
        deadline_s=deadline_s,
    )
    return (await ask(MODULE, request, Fetched, on_progress)).size
