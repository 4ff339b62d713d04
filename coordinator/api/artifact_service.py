"""ArtifactService: content by digest, in chunks of 1 MiB, resumable in both directions."""

import asyncio
from collections.abc import AsyncIterator

from coordinator.api.errors import Context
from coordinator.errors import BadInput
from coordinator.registry.admission import check_size
from coordinator.registry.blobs import Blobs, Upload
from coordinator.registry.service import Registry
from coordinator.registry.signing import Signing
from protos.digest import Digest, checked_digest
from protos.fleet.v1 import artifact_pb2 as pb
from protos.fleet.v1.artifact_pb2_grpc import ArtifactServiceServicer


class ArtifactService(ArtifactServiceServicer):
    """Converts, asks the blobs and the registry, converts."""

    def __init__(self, blobs: Blobs, registry: Registry, signing: Signing) -> None:
        self._blobs = blobs
        self._registry = registry
        self._signing = signing

    async def StatBlob(self, request: pb.StatBlobRequest, context: Context) -> pb.BlobStat:
        """What is held of a blob."""
        return self._stat(checked_digest(request.digest))

    async def PushBlob(self, requests: AsyncIterator[pb.PushBlobRequest], context: Context) -> pb.BlobStat:
        """Take a blob in, from the offset of the first message on."""
        first = await anext(requests, None)
        if first is None:
            raise BadInput("PushBlob: no message: the first one names the blob")
        digest = checked_digest(first.digest)
        check_size(f"blob {digest}", first.size)
        if not self._blobs.state(digest).complete:
            with self._blobs.upload(digest, first.size, first.offset) as upload:
                await asyncio.to_thread(upload.write, first.data)
                await _receive(upload, requests)
        return self._stat(digest)

    async def FetchBlob(self, request: pb.FetchBlobRequest, context: Context) -> AsyncIterator[pb.Chunk]:
        """The blob from an offset on."""
        chunks = self._blobs.chunks(checked_digest(request.digest), request.offset)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield pb.Chunk(data=chunk)

    async def GetManifest(self, request: pb.GetManifestRequest, context: Context) -> pb.Manifest:
        """The manifest of a bundle, with what publishers signed about it."""
        digest = checked_digest(request.digest)
        content = await asyncio.to_thread(self._registry.manifest, digest)
        releases, downgrades = await asyncio.to_thread(self._signing.papers_of, digest)
        return pb.Manifest(digest=digest, content=content, releases=releases, downgrades=downgrades)

    def _stat(self, digest: Digest) -> pb.BlobStat:
        state = self._blobs.state(digest)
        return pb.BlobStat(digest=digest, complete=state.complete, received=state.received)


async def _receive(upload: Upload, requests: AsyncIterator[pb.PushBlobRequest]) -> None:
    async for request in requests:
        await asyncio.to_thread(upload.write, request.data)
    await asyncio.to_thread(upload.finish)
