"""`python -m edge_node.link.grpc`: one question to the coordinator, in a process of its own.

The node's one door to gRPC. A request of `coordinator.py` comes on standard input; JSON lines go out. It trusts
nothing that it gets: bytes are capped, the whole call has one deadline, and what was fetched is verified by the store.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import BinaryIO

import msgspec

from edge_node.errors import NearfieldError
from edge_node.link.address import at_host_of
from edge_node.link.channel import CallFailed, channel_to
from edge_node.link.child import Failed, Progress, say
from edge_node.link.coordinator import (
    Dial,
    FetchBlobs,
    Fetched,
    GetManifest,
    Manifest,
    Piece,
    Register,
    Registration,
    checked_keys,
)
from edge_node.link.enrollment import AskRoots, AskTime, Enroll, Renew
from edge_node.link.tls import PinnedContext, node_context
from protos.broker_url import parse_broker_url
from protos.egress import check_request
from protos.errors import ContractError
from protos.fleet.v1.artifact_pb2 import FetchBlobRequest, GetManifestRequest
from protos.fleet.v1.artifact_pb2_grpc import ArtifactServiceStub
from protos.fleet.v1.node_pb2 import RegisterNodeReply, RegisterNodeRequest
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub
from protos.identity import NodeId, checked_name, is_id
from protos.topics import checked_prefix

PROGRESS_EVERY_S = 0.25

Request = Register | GetManifest | FetchBlobs | Enroll | AskTime | AskRoots | Renew


def register(request: Register) -> Registration:
    """Register, and check that the answer keeps the contract."""
    with channel_to(request.dial.address, _context(request.dial)) as channel:
        message = RegisterNodeRequest(
            node_id=request.node_id,
            name=request.name,
            site=request.site,
            labels=request.labels,
            facts_json=request.facts_json,
        )
        node_service = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
        reply = node_service.RegisterNode(message, timeout=request.deadline_s)
    return registration_from_wire(reply, request.dial.address)


def registration_from_wire(reply: RegisterNodeReply, address: str) -> Registration:
    """The reply in our types; `address` is what was dialled.

    Raises:
        ContractError: an id, a name, a key or the broker's URL is not what the contract says.
    """
    if not is_id(reply.node_id):
        raise ContractError(f"node id {reply.node_id!r} is not 32 hexadecimal digits")
    return Registration(
        node_id=NodeId(reply.node_id),
        broker_url=parse_broker_url(at_host_of(address, reply.broker_url)).safe_url,
        topic_prefix=checked_prefix(reply.topic_prefix),
        trusted_keys=checked_keys(reply.trusted_keys),
        name=checked_name(reply.name, "node name"),
        site=checked_name(reply.site, "site"),
        trust_roots=tuple(reply.trust_roots),
    )


def get_manifest(request: GetManifest) -> Manifest:
    """Get a manifest."""
    with channel_to(request.dial.address, _context(request.dial)) as channel:
        message = GetManifestRequest(digest=request.digest)
        artifact_service = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        reply = artifact_service.GetManifest(message, timeout=request.deadline_s)
    return Manifest(content=reply.content, releases=tuple(reply.releases), downgrades=tuple(reply.downgrades))


def fetch_blobs(request: FetchBlobs) -> Fetched:
    """Write each blob behind what its file holds; the files are on disk when this returns."""
    ends = time.monotonic() + request.deadline_s
    tally = Tally(sum(piece.offset for piece in request.pieces))
    with channel_to(request.dial.address, _context(request.dial)) as channel:
        artifact_service = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        for piece in request.pieces:
            message = FetchBlobRequest(digest=piece.digest, offset=piece.offset)
            chunks = artifact_service.FetchBlob(message, timeout=ends - time.monotonic())
            _grow(piece, (chunk.data for chunk in chunks), tally)
    tally.tell()
    return Fetched()


class Tally:
    """Says a few times a second how many bytes there are."""

    def __init__(self, done: int) -> None:
        self._done, self._said = done, time.monotonic()

    def add(self, count: int) -> None:
        """So many more have come."""
        self._done += count
        if time.monotonic() - self._said >= PROGRESS_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Say it now."""
        self._said = time.monotonic()
        say(Progress(done=self._done))


def _grow(piece: Piece, chunks: Iterable[bytes], tally: Tally) -> None:
    descriptor = os.open(piece.into, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        file.truncate(piece.offset)
        file.seek(piece.offset)
        try:
            append(chunks, file, piece, tally)
        finally:
            file.flush()
            os.fsync(file.fileno())


def append(chunks: Iterable[bytes], file: BinaryIO, piece: Piece, tally: Tally) -> None:
    """Write chunks to the file of a piece.

    Raises:
        ContractError: more than `max_bytes` would come of it.
    """
    size = piece.offset
    for data in chunks:
        size += len(data)
        if size > piece.max_bytes:
            raise ContractError(f"it sends more than the {piece.max_bytes} bytes that the blob has")
        file.write(data)
        tally.add(len(data))


def _context(dial: Dial) -> PinnedContext:
    return node_context(dial.credentials, lambda: dial.known)


def _handlers() -> dict[type, Callable[..., msgspec.Struct]]:
    return {Register: register, GetManifest: get_manifest, FetchBlobs: fetch_blobs}


def _enrollment_handlers() -> dict[type, Callable[..., msgspec.Struct]]:
    """Those that read certificates: the library for it takes a tenth of a second to import."""
    from edge_node.link.grpc_enrollment import ask_roots, ask_time, enroll, renew

    return {Enroll: enroll, AskTime: ask_time, AskRoots: ask_roots, Renew: renew}


def answer(request: Request) -> msgspec.Struct:
    """The answer, or why there is none: also where the egress contract keeps what the node would say of itself."""
    if isinstance(request, Register | Enroll):
        site = request.site if isinstance(request, Register) else ""
        refusal = check_request(request.name, site, request.labels, request.facts_json)
        if refusal is not None:
            return Failed("refused", f"this does not leave the device: {refusal.line}")
    try:
        handlers = _enrollment_handlers() if isinstance(request, Enroll | AskTime | AskRoots | Renew) else _handlers()
        return handlers[type(request)](request)
    except CallFailed as error:
        return error.failed
    except ContractError as error:
        return Failed("refused", f"the answer of coordinator {_address(request)} is not in order: {error}")
    except NearfieldError as error:
        return Failed("failed", str(error))
    except OSError as error:
        return Failed("failed", f"{error.filename or 'download'}: {error.strerror}")


def _address(request: Request) -> str:
    return request.address if isinstance(request, Enroll | AskTime | AskRoots | Renew) else request.dial.address


def main() -> int:
    """Answer the question on standard input."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    try:
        say(answer(request))
    except BrokenPipeError:  # nobody waits any more
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
