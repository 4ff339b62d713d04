"""What the agent asks its coordinator over gRPC: to be registered, for manifests, for blobs.

Each question runs in a short-lived child process (`grpc.py`), so that the agent never imports gRPC. A child costs a
third of a second of Python and TLS: all blobs of a bundle are one question.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from edge_node.link.address import coordinator_address
from edge_node.link.child import ask
from edge_node.link.tls import Credentials
from edge_node.link.validity import UNKNOWN, KnownTime
from protos.digest import Digest
from protos.errors import ContractError
from protos.identity import NodeId

CALL_S = 20.0
"""The total deadline of a question, seconds."""
FETCH_S = 3600.0
"""The total deadline of a fetch, seconds; what came is kept and the next fetch goes on from there."""
KEY_BYTES = 32
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
    """All of it is in the files."""


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


class Piece(msgspec.Struct, frozen=True):
    """A blob, the file that it grows in, how many bytes that holds already, and how many it may ever hold."""

    digest: Digest
    into: str
    offset: int
    max_bytes: int


class FetchBlobs(msgspec.Struct, frozen=True, tag=True):
    """Write each blob into its file, one after the other."""

    dial: Dial
    pieces: tuple[Piece, ...]
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


async def fetch_blobs(
    dial: Dial,
    pieces: Sequence[Piece],
    on_progress: Callable[[int], None] | None = None,
    *,
    deadline_s: float = FETCH_S,
) -> None:
    """Write blobs into files, each from its offset on; what stood after the offset is lost. The store verifies digests.

    Args:
        dial: whom.
        pieces: the blobs, in the order that they are fetched in; a file is made where it does not exist.
        on_progress: called with the bytes that all the files hold, a few times a second.
        deadline_s: for all of them, however slowly they come.

    Raises:
        Unreachable: the connection broke or the deadline passed; what came is in the files.
        Refused: the coordinator says no, or sends more of a blob than its `max_bytes`.
        NearfieldError: a file cannot be written.
    """
    await ask(MODULE, FetchBlobs(checked(dial), tuple(pieces), deadline_s), Fetched, on_progress)


def checked_keys(keys: Iterable[bytes]) -> tuple[bytes, ...]:
    """Keys that sign documents for nodes.

    Raises:
        ContractError: there is none, or one is no raw Ed25519 key.
    """
    checked = tuple(keys)
    if not checked or any(len(key) != KEY_BYTES for key in checked):
        raise ContractError(f"trusted keys must be raw Ed25519 keys of {KEY_BYTES} bytes, at least one")
    return checked
