"""`python -m edge_node.link.grpc`: one question to the coordinator, in a process of its own.

The node's one door to gRPC. A request of `coordinator.py` comes on standard input; JSON lines go out. It trusts
nothing that it gets: bytes are capped, the whole call has one deadline, and what was fetched is verified by the store.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import BinaryIO

import grpc
import msgspec

from edge_node.link.child import Failed, Progress, say
from edge_node.link.coordinator import FetchBlob, Fetched, GetManifest, Manifest, Register, Registration
from protos.broker_url import parse_broker_url
from protos.errors import ContractError
from protos.fleet.v1.artifact_pb2 import FetchBlobRequest, GetManifestRequest
from protos.fleet.v1.artifact_pb2_grpc import ArtifactServiceStub
from protos.fleet.v1.node_pb2 import RegisterNodeReply, RegisterNodeRequest
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub
from protos.identity import NodeId, checked_name, is_id
from protos.topics import checked_prefix

KEY_BYTES = 32
PROGRESS_EVERY_S = 0.25
UNREACHABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
BROKEN = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 8 * 1024 * 1024))


def register(request: Register) -> Registration:
    """Register, and check that the answer keeps the contract."""
    with grpc.insecure_channel(request.address, options=OPTIONS) as channel:
        message = RegisterNodeRequest(
            node_id=request.node_id,
            name=request.name,
            site=request.site,
            labels=request.labels,
            facts_json=request.facts_json,
        )
        node_service = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
        reply = node_service.RegisterNode(message, timeout=request.deadline_s)
    return registration_from_wire(reply)


def registration_from_wire(reply: RegisterNodeReply) -> Registration:
    """The reply in our types.

    Raises:
        ContractError: an id, a name, a key or the broker's URL is not what the contract says.
    """
    if not is_id(reply.node_id):
        raise ContractError(f"node id {reply.node_id!r} is not 32 hexadecimal digits")
    if not reply.trusted_keys or any(len(key) != KEY_BYTES for key in reply.trusted_keys):
        raise ContractError(f"trusted keys must be raw Ed25519 keys of {KEY_BYTES} bytes, at least one")
    parse_broker_url(reply.broker_url)
    return Registration(
        node_id=NodeId(reply.node_id),
        broker_url=reply.broker_url,
        topic_prefix=checked_prefix(reply.topic_prefix),
        trusted_keys=tuple(reply.trusted_keys),
        name=checked_name(reply.name, "node name"),
        site=checked_name(reply.site, "site"),
    )


def get_manifest(request: GetManifest) -> Manifest:
    """Get a manifest."""
    with grpc.insecure_channel(request.address, options=OPTIONS) as channel:
        message = GetManifestRequest(digest=request.digest)
        artifact_service = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        reply = artifact_service.GetManifest(message, timeout=request.deadline_s)
    return Manifest(content=reply.content)


def fetch_blob(request: FetchBlob) -> Fetched:
    """Write a blob behind what the file holds; the file is on disk when this returns."""
    descriptor = os.open(request.into, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file, grpc.insecure_channel(request.address, options=OPTIONS) as channel:
        file.truncate(request.offset)
        file.seek(request.offset)
        message = FetchBlobRequest(digest=request.digest, offset=request.offset)
        artifact_service = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        chunks = artifact_service.FetchBlob(message, timeout=request.deadline_s)
        try:
            size = append((chunk.data for chunk in chunks), file, request.offset, request.max_bytes)
        finally:
            file.flush()
            os.fsync(file.fileno())
    return Fetched(size=size)


def append(chunks: Iterable[bytes], file: BinaryIO, size: int, max_bytes: int) -> int:
    """Write chunks to a file that holds `size` bytes, saying a few times a second how many there are; the new size.

    Raises:
        ContractError: more than `max_bytes` would come of it.
    """
    said = time.monotonic()
    for data in chunks:
        size += len(data)
        if size > max_bytes:
            raise ContractError(f"it sends more than the {max_bytes} bytes that the blob has")
        file.write(data)
        if time.monotonic() - said >= PROGRESS_EVERY_S:
            said = time.monotonic()
            say(Progress(done=size))
    say(Progress(done=size))
    return size


def failure(address: str, error: grpc.RpcError) -> Failed:
    """One line for a call that failed, and whose fault it is."""
    code, details = error.code(), " ".join(str(error.details() or "").split())
    if code in UNREACHABLE:
        why = "no answer in time" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "nobody answers"
        return Failed("unreachable", f"coordinator {address}: {why}: is edge-coordinator serve running there?")
    if code in BROKEN:
        return Failed("failed", f"coordinator {address} failed: {details}")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Failed("refused", f"coordinator {address} does not know this call: it is of another version")
    return Failed("refused", details)


HANDLERS: dict[type, Callable[..., msgspec.Struct]] = {
    Register: register,
    GetManifest: get_manifest,
    FetchBlob: fetch_blob,
}


def answer(request: Register | GetManifest | FetchBlob) -> msgspec.Struct:
    """The answer, or why there is none."""
    try:
        return HANDLERS[type(request)](request)
    except grpc.RpcError as error:
        return failure(request.address, error)
    except ContractError as error:
        return Failed("refused", f"the answer of coordinator {request.address} is not in order: {error}")
    except OSError as error:
        return Failed("failed", f"{error.filename or 'download'}: {error.strerror}")


def main() -> int:
    """Answer the question on standard input."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Register | GetManifest | FetchBlob)
    try:
        say(answer(request))
    except BrokenPipeError:  # nobody waits any more
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
