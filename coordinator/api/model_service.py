"""ModelService: versions of models."""

import asyncio
from collections.abc import Iterable

from coordinator.api.convert import version_to_wire
from coordinator.api.errors import Context
from coordinator.registry.records import Version
from coordinator.registry.service import Registry
from coordinator.registry.signing import Signing
from protos.fleet.v1 import model_pb2 as pb
from protos.fleet.v1.model_pb2_grpc import ModelServiceServicer


class ModelService(ModelServiceServicer):
    """Converts, asks the registry, converts."""

    def __init__(self, registry: Registry, signing: Signing) -> None:
        self._registry = registry
        self._signing = signing

    async def PublishVersion(self, request: pb.PublishVersionRequest, context: Context) -> pb.PublishVersionReply:
        """Make a pushed bundle the next version."""
        publish = self._registry.publish
        published = await asyncio.to_thread(publish, request.model, request.manifest, request.version)
        return pb.PublishVersionReply(version=await self._to_wire(published.version), created=published.created)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsReply:
        """All versions, or those of one model."""
        found = await asyncio.to_thread(self._registry.versions, request.model or None)
        return pb.ListModelsReply(versions=[await self._to_wire(version, used_by) for version, used_by in found])

    async def GetVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.ModelVersion:
        """One version in full."""
        details = await asyncio.to_thread(self._registry.show, request.model, request.version)
        return await self._to_wire(details.version, details.used_by, details.model_toml)

    async def VerifyVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.VerifyVersionReply:
        """Read every blob again."""
        problems = await asyncio.to_thread(self._registry.verify, request.model, request.version)
        return pb.VerifyVersionReply(intact=not problems, problems=problems)

    async def SignVersion(self, request: pb.SignVersionRequest, context: Context) -> pb.ModelVersion:
        """Add what publishers signed."""
        await asyncio.to_thread(self._signing.sign, request.model, request.version, request.release)
        details = await asyncio.to_thread(self._registry.show, request.model, request.version)
        return await self._to_wire(details.version, details.used_by)

    async def PermitDowngrade(self, request: pb.PermitDowngradeRequest, context: Context) -> pb.PermitDowngradeReply:
        """Add a downgrade permit."""
        permit = await asyncio.to_thread(self._signing.permit, request.permit)
        return pb.PermitDowngradeReply(model=permit.model, version=permit.version, below=permit.below)

    async def DeleteVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.DeleteVersionReply:
        """Delete a version that nothing uses."""
        return pb.DeleteVersionReply(
            freed=await asyncio.to_thread(self._registry.delete, request.model, request.version)
        )

    async def _to_wire(self, version: Version, used_by: Iterable[str] = (), model_toml: str = "") -> pb.ModelVersion:
        standing = await asyncio.to_thread(self._signing.standing, version)
        return version_to_wire(version, standing, used_by, model_toml)
