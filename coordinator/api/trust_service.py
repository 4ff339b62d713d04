"""TrustService: whose signatures count."""

import asyncio
from collections.abc import Callable, Mapping

from coordinator.api.errors import Context
from coordinator.registry.roots import Trust, TrustRoots
from protos.fleet.v1 import trust_pb2 as pb
from protos.fleet.v1.trust_pb2_grpc import TrustServiceServicer


class TrustService(TrustServiceServicer):
    """Converts, asks the registry, converts. `held_by`: how many nodes hold which root."""

    def __init__(self, roots: TrustRoots, held_by: Callable[[], Mapping[int, int]]) -> None:
        self._roots = roots
        self._held_by = held_by

    async def GetTrust(self, request: pb.GetTrustRequest, context: Context) -> pb.Trust:
        """All roots."""
        return await self._told(await asyncio.to_thread(self._roots.trust))

    async def PushRoot(self, request: pb.PushRootRequest, context: Context) -> pb.Trust:
        """The next root."""
        return await self._told(await asyncio.to_thread(self._roots.push, request.root))

    async def _told(self, trust: Trust) -> pb.Trust:
        held_by = await asyncio.to_thread(self._held_by)
        return pb.Trust(roots=trust.roots, unsigned_root=trust.unsigned or b"", held_by=held_by)
