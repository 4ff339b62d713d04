"""ModelService: versions of models."""

import asyncio

from coordinator.api.convert import version_to_wire
from coordinator.api.errors import Context
from coordinator.registry.service import Registry
from protos.fleet.v1 import model_pb2 as pb
from protos.fleet.v1.model_pb2_grpc import ModelServiceServicer


class ModelService(ModelServiceServicer):
    """Converts, asks the registry, converts."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def PublishVersion(self, request: pb.PublishVersionRequest, context: Context) -> pb.PublishVersionReply:
        """Make a pushed bundle the next version."""
        published = await asyncio.to_thread(self._registry.publish, request.model, request.manifest)
        return pb.PublishVersionReply(version=version_to_wire(published.version), created=published.created)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsReply:
        """All versions, or those of one model."""
        found = await asyncio.to_thread(self._registry.versions, request.model or None)
        return pb.ListModelsReply(versions=[version_to_wire(version, used_by) for version, used_by in found])

    async def GetVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.ModelVersion:
        """One version in full."""
        details = await asyncio.to_thread(self._registry.show, request.model, request.version)
        return version_to_wire(details.version, details.used_by, details.model_toml)

    async def VerifyVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.VerifyVersionReply:
        """Read every blob again."""
        problems = await asyncio.to_thread(self._registry.verify, request.model, request.version)
        return pb.VerifyVersionReply(intact=not problems, problems=problems)

    async def DeleteVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.DeleteVersionReply:
        """Delete a version that nothing uses."""
        return pb.DeleteVersionReply(
            freed=await asyncio.to_thread(self._registry.delete, request.model, request.version)
        )
