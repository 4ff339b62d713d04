"""The registry with what publishers sign, put together: models, their releases, the trust roots, and their services."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from coordinator.api.artifact_service import ArtifactService
from coordinator.api.model_service import ModelService
from coordinator.api.server import Service
from coordinator.api.trust_service import TrustService
from coordinator.registry.blobs import Blobs
from coordinator.registry.records import Store
from coordinator.registry.roots import TrustRoots
from coordinator.registry.service import Registry
from coordinator.registry.signing import Signing
from protos.bundle import Manifest
from protos.evaluation import Requirement
from protos.fleet.v1 import artifact_pb2_grpc, model_pb2_grpc, trust_pb2_grpc


class Publishing:
    """Made of a store and blobs; `roots.prepare()` before the first use."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        roots: TrustRoots,
        now: Callable[[], datetime],
        requirements: Sequence[Requirement] = (),
    ) -> None:
        self.registry = Registry(store, blobs, now, requirements)
        self.roots = roots
        self._signing = Signing(store, now)
        self._blobs = blobs

    def services(self, held_by: Callable[[], Mapping[int, int]]) -> list[Service]:
        """What the API serves of it; `held_by`: how many nodes hold which trust root."""
        artifacts = ArtifactService(self._blobs, self.registry, self._signing)
        return [
            (artifact_pb2_grpc.add_ArtifactServiceServicer_to_server, artifacts),
            (model_pb2_grpc.add_ModelServiceServicer_to_server, ModelService(self.registry, self._signing)),
            (trust_pb2_grpc.add_TrustServiceServicer_to_server, TrustService(self.roots, held_by)),
        ]

    def manifest_of(self, model: str, version: int) -> Manifest:
        """What the `model.toml` of a version that may be deployed says.

        Raises:
            NotFound: there is no such version.
            Conflict: it is not released.
        """
        self._signing.check(model, version)
        return self.registry.manifest_of(model, version)

    def trust_roots(self) -> tuple[bytes, ...]:
        """The envelopes that nodes are told of, the oldest first."""
        return self.roots.trust().roots
