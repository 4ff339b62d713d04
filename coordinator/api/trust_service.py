"""TrustService: whose signatures count."""

import asyncio

from coordinator.api.errors import Context
from coordinator.registry.roots import Trust, TrustRoots
from protos.fleet.v1 import trust_pb2 as pb
from protos.fleet.v1.trust_pb2_grpc import TrustServiceServicer


class TrustService(TrustServiceServicer):
    """Converts, asks the registry, converts."""

    def __init__(self, roots: TrustRoots) -> None:
        self._roots = roots

    async def GetTrust(self, request: pb.GetTrustRequest, context: Context) -> pb.Trust:
        """All roots."""
        return _to_wire(await asyncio.to_thread(self._roots.trust))

    async def PushRoot(self, request: pb.PushRootRequest, context: Context) -> pb.Trust:
        """The next root."""
        return _to_wire(await asyncio.to_thread(self._roots.push, request.root))


def _to_wire(trust: Trust) -> pb.Trust:
    return pb.Trust(roots=trust.roots, unsigned_root=trust.unsigned or b"")
