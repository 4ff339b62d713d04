"""What the transports call: the serving process's own interface, without gRPC and without HTTP."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from edge_node.lane.messages import Port
from edge_node.serving.control import Batching, ModelState
from edge_node.serving.inference import Answered, Caller, Inference
from protos.inference import grpc_service_pb2 as oip


class Model(Protocol):
    """A version that is served."""

    name: str
    version: str
    platform: str
    engine: str
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    max_batch: int
    """0: the first axis is no batch axis"""
    instances: int
    batching: Batching
    recurrent: bool
    sequence_idle_s: float
    labels: Sequence[str]


class Serving(Protocol):
    """Everything that a transport may ask. Every method may raise `ServingError`."""

    def live(self) -> bool:
        """The process answers."""

    def ready(self) -> bool:
        """All that should serve does. Losing the coordinator never makes it false."""

    def model(self, name: str, version: str) -> Model:
        """A served version; an empty version is the newest. NOT_FOUND or NOT_READY where there is none."""

    def versions(self, name: str) -> Sequence[str]:
        """The served versions of a model, oldest first."""

    async def infer(self, inference: Inference, caller: Caller) -> Answered:
        """Check, queue, have it answered."""

    def refused(self, reason: str) -> None:
        """Count a request that was refused before `infer`, by a word for its reason (`edge_rejected_total`)."""

    def index(self) -> Sequence[ModelState]:
        """The repository's index."""

    async def load(self, name: str) -> None:
        """Load a model and wait until it serves."""

    async def unload(self, name: str) -> None:
        """Drain and unload a model."""

    def statistics(self, name: str, version: str) -> oip.ModelStatisticsResponse:
        """The statistics extension's answer; empty strings for all."""

    def regions(self) -> Mapping[str, tuple[str, int, int]]:
        """Registered shared memory: name to key, offset, size."""

    def register(self, name: str, key: str, offset: int, size: int, caller: Caller) -> None:
        """Register system shared memory."""

    def unregister(self, name: str, caller: Caller) -> None:
        """Forget a region, or all of them for an empty name."""
