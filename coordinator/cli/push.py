"""Pushing a bundle: every blob that the registry lacks, from where it broke off, then the version."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.cli.bundle_folder import LocalBundle, LocalFile
from coordinator.cli.client import LONG_CALL_S, call
from coordinator.cli.publisher import expiry, released
from protos.digest import checked_digest
from protos.fleet.v1.artifact_pb2 import PushBlobRequest, StatBlobRequest
from protos.fleet.v1.artifact_pb2_grpc import ArtifactServiceStub
from protos.fleet.v1.model_pb2 import ModelVersion, PublishVersionReply, PublishVersionRequest, SignVersionRequest
from protos.fleet.v1.model_pb2_grpc import ModelServiceStub

CHUNK = 1024 * 1024

Moved = Callable[[str, int], None]
"""Called with the file's path in the bundle and how many bytes of it need not move any more."""


def push(channel: grpc.Channel, bundle: LocalBundle, on_moved: Moved, number: int = 0) -> PublishVersionReply:
    """Push what is missing, and publish. Nothing is deployed before it is signed (`sign`).

    Args:
        channel: to the coordinator.
        bundle: what to push.
        on_moved: hears of progress.
        number: of the version, where a release was signed beforehand; 0: the next one.

    Raises:
        BadInput: a file changed meanwhile.
        grpc.RpcError: the coordinator refuses, or cannot be reached.
    """
    artifacts = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
    for file in {file.entry.digest: file for file in bundle.files}.values():
        _push_file(artifacts, file, partial(on_moved, file.entry.path))
    models = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
    reply: PublishVersionReply = call(
        models.PublishVersion,
        PublishVersionRequest(model=bundle.model, manifest=bundle.manifest, version=number),
        LONG_CALL_S,
    )
    return reply


def sign(
    channel: grpc.Channel, version: ModelVersion, keys: Sequence[Ed25519PrivateKey], days: int = 0
) -> ModelVersion:
    """Release a version: sign it here and send the signatures; those that are there already stay.

    Args:
        channel: to the coordinator.
        version: as the coordinator told it.
        keys: who signs.
        days: how long it may be adopted; 0: for ever, or as before.

    Raises:
        grpc.RpcError: the coordinator refuses, or cannot be reached.
    """
    now = datetime.now(UTC)
    wanted = (version.model, version.version, checked_digest(version.digest))
    return send_release(channel, version, released(version.release, wanted, keys, now, expiry(days, now)))


def send_release(channel: grpc.Channel, version: ModelVersion, release: bytes) -> ModelVersion:
    """Send a signed release of a version; the version as it stands then."""
    models = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
    request = SignVersionRequest(model=version.model, version=version.version, release=release)
    signed: ModelVersion = call(models.SignVersion, request)
    return signed


def _push_file(artifacts: ArtifactServiceStub, file: LocalFile, on_moved: Callable[[int], None]) -> None:
    held = call(artifacts.StatBlob, StatBlobRequest(digest=file.entry.digest))
    on_moved(held.received)
    if held.complete:
        return
    try:
        call(artifacts.PushBlob, _requests(file, held.received, on_moved), LONG_CALL_S)
    except grpc.RpcError:
        file.check_unchanged()
        raise


def _requests(file: LocalFile, offset: int, on_moved: Callable[[int], None]) -> Iterator[PushBlobRequest]:
    entry = file.entry
    yield PushBlobRequest(digest=entry.digest, size=entry.size, offset=offset)
    for chunk in _chunks(file.path, offset):
        yield PushBlobRequest(data=chunk)
        offset += len(chunk)
        on_moved(offset)


def _chunks(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK):
            yield chunk
