"""The serving process's own interface: what transports call. See `seam.Serving`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from edge_node.serving.control import Index, ModelState
from edge_node.serving.inference import Answered, Caller, Inference, InRegion, Kind, ServingError
from edge_node.serving.models import Models
from edge_node.serving.regions import Regions
from edge_node.serving.served import Served
from edge_node.serving.settings import ServingSettings
from edge_node.serving.statistics import response
from protos.inference import grpc_service_pb2 as oip

Order = Callable[[str], Awaitable[str | None]]
"""Has the parent load or unload a model by name; why it could not, None where it has."""


class Server:
    """Implements `seam.Serving`. `load_model` and `unload_model` ask the parent."""

    def __init__(self, settings: ServingSettings, load_model: Order, unload_model: Order) -> None:
        self.region_table = Regions(settings.regions)
        self.models = Models(settings, self.region_table)
        self.rejected: dict[str, int] = {}
        self.answered = 0
        self.in_flight = 0
        self.draining = False
        self._load_model = load_model
        self._unload_model = unload_model
        self._index = Index(())

    def live(self) -> bool:
        """The process answers."""
        return True

    def ready(self) -> bool:
        """All that should serve does."""
        return not self.draining and self._index.ready and all(served.available for served in self.models)

    def model(self, name: str, version: str) -> Served:
        """A served version; an empty version is the newest."""
        try:
            return self.models.find(name, version)
        except ServingError as error:
            if error.kind is Kind.NOT_FOUND and self._is_coming(name, version):
                raise ServingError(
                    Kind.NOT_READY, f"Request for unknown model: '{name}' is not at ready state"
                ) from None
            raise

    def versions(self, name: str) -> Sequence[str]:
        """The served versions of a model, oldest first."""
        return self.models.versions(name)

    async def infer(self, inference: Inference, caller: Caller) -> Answered:
        """Check, queue, have it answered. See `seam.Serving`."""
        self.in_flight += 1
        try:
            self._check(inference, caller)
            answered = await self.model(inference.model, inference.version).infer(inference, caller)
        except ServingError as error:
            self.refused(error.cause)
            raise
        finally:
            self.in_flight -= 1
        self.answered += 1
        return answered

    def refused(self, reason: str) -> None:
        """Count a request that was not answered; for those that are refused before `infer` too."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def told(self, index: Index) -> None:
        """The parent has said what there is."""
        self._index = index

    def index(self) -> Sequence[ModelState]:
        """The repository's index."""
        return self._index.models

    async def load(self, name: str) -> None:
        """Load a model and wait until it serves."""
        reason = await self._load_model(name)
        if reason is not None:
            raise ServingError(self._order_failed(name), f"failed to load '{name}', {reason}")

    async def unload(self, name: str) -> None:
        """Drain and unload a model."""
        reason = await self._unload_model(name)
        if reason is not None:
            raise ServingError(self._order_failed(name), f"failed to unload '{name}', {reason}")

    def statistics(self, name: str, version: str) -> oip.ModelStatisticsResponse:
        """The statistics extension's answer; empty strings for all."""
        if version or name:
            versions = [version] if version else self.models.versions(name)
            found = [self.models.find(name, each) for each in versions]
        else:
            found = list(self.models)
        return oip.ModelStatisticsResponse(
            model_stats=[response(served.name, served.version, served.statistics) for served in found]
        )

    def regions(self) -> Mapping[str, tuple[str, int, int]]:
        """Registered shared memory: name to key, offset, size."""
        return self.region_table.status()

    def register(self, name: str, key: str, offset: int, size: int, caller: Caller) -> None:
        """Register system shared memory."""
        _check_local(caller)
        self.region_table.register(name, key, offset, size)

    def unregister(self, name: str, caller: Caller) -> None:
        """Forget a region, or all of them for an empty name."""
        _check_local(caller)
        self.region_table.unregister(name)

    def _check(self, inference: Inference, caller: Caller) -> None:
        if self.draining:
            raise ServingError(Kind.NOT_READY, "the node is stopping")
        if _uses_regions(inference):
            _check_local(caller)

    def _is_coming(self, name: str, version: str) -> bool:
        """Whether a version is loaded just now: at the start, and after both processes have died."""
        states = (one for one in self._index.models if one.model == name and version in ("", one.version))
        return any(one.state == "LOADING" for one in states)

    def _order_failed(self, name: str) -> Kind:
        known = any(state.model == name for state in self._index.models)
        return Kind.FAILED if known else Kind.NOT_FOUND


def _check_local(caller: Caller) -> None:
    if not caller.is_local:
        raise ServingError(Kind.DENIED, "shared memory is for clients on this machine")


def _uses_regions(inference: Inference) -> bool:
    for tensor in inference.inputs:
        if isinstance(tensor.data, InRegion):
            return True
    return any(output.region is not None for output in inference.outputs) if inference.outputs else False
