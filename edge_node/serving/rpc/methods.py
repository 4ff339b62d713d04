"""The calls of the protocol that are one message each way and no inference: a table."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from edge_node.serving.described import model_config, model_metadata, server_metadata
from edge_node.serving.inference import Caller, Kind, ServingError
from edge_node.serving.seam import Serving
from protos.inference import grpc_service_pb2 as oip

Answer = Callable[[Serving, Any, Caller], Message | Awaitable[Message]]


class Method(NamedTuple):
    """A call: what it takes, what a caller must be allowed, who answers."""

    request: type[Message]
    scope: str
    answer: Answer


def _model_ready(serving: Serving, request: oip.ModelReadyRequest, _: Caller) -> oip.ModelReadyResponse:
    """False for a model that nobody knows, as in Triton."""
    try:
        serving.model(request.name, request.version)
    except ServingError as error:
        if error.kind not in (Kind.NOT_FOUND, Kind.NOT_READY):
            raise
        return oip.ModelReadyResponse(ready=False)
    return oip.ModelReadyResponse(ready=True)


def _config(serving: Serving, request: oip.ModelConfigRequest, _: Caller) -> oip.ModelConfigResponse:
    return oip.ModelConfigResponse(config=model_config(serving.model(request.name, request.version)))


def _index(serving: Serving, request: oip.RepositoryIndexRequest, _: Caller) -> oip.RepositoryIndexResponse:
    _one_repository(request.repository_name)
    answer = oip.RepositoryIndexResponse()
    for one in serving.index():
        if one.state == "READY" or not request.ready:
            answer.models.add(name=one.model, version=one.version, state=one.state, reason=one.reason)
    return answer


async def _load(
    serving: Serving, request: oip.RepositoryModelLoadRequest, _: Caller
) -> oip.RepositoryModelLoadResponse:
    _one_repository(request.repository_name)
    if request.parameters:
        raise ServingError(
            Kind.UNSUPPORTED, f"model '{request.model_name}' is loaded as the node has it: without config and files"
        )
    await serving.load(request.model_name)
    return oip.RepositoryModelLoadResponse()


async def _unload(
    serving: Serving, request: oip.RepositoryModelUnloadRequest, _: Caller
) -> oip.RepositoryModelUnloadResponse:
    """The parameter `unload_dependents` changes nothing: no model depends on another."""
    _one_repository(request.repository_name)
    await serving.unload(request.model_name)
    return oip.RepositoryModelUnloadResponse()


def _one_repository(name: str) -> None:
    if name:
        raise ServingError(Kind.UNSUPPORTED, "'repository_name' is not supported: there is one repository")


def _regions(
    serving: Serving, request: oip.SystemSharedMemoryStatusRequest, _: Caller
) -> oip.SystemSharedMemoryStatusResponse:
    regions = serving.regions()
    if request.name and request.name not in regions:
        raise ServingError(Kind.NOT_FOUND, f"Unable to find system shared memory region: '{request.name}'")
    answer = oip.SystemSharedMemoryStatusResponse()
    for name, (key, offset, size) in regions.items():
        if request.name in ("", name):
            status = answer.regions[name]
            status.name, status.key, status.offset, status.byte_size = name, key, offset, size
    return answer


def _register(
    serving: Serving, request: oip.SystemSharedMemoryRegisterRequest, caller: Caller
) -> oip.SystemSharedMemoryRegisterResponse:
    serving.register(request.name, request.key, request.offset, request.byte_size, caller)
    return oip.SystemSharedMemoryRegisterResponse()


def _unregister(
    serving: Serving, request: oip.SystemSharedMemoryUnregisterRequest, caller: Caller
) -> oip.SystemSharedMemoryUnregisterResponse:
    serving.unregister(request.name, caller)
    return oip.SystemSharedMemoryUnregisterResponse()


def _unsupported(what: str) -> Answer:
    def answer(*_: object) -> Message:
        raise ServingError(Kind.UNSUPPORTED, what)

    return answer


METHODS: dict[str, Method] = {
    "ServerLive": Method(oip.ServerLiveRequest, "", lambda serving, _, __: oip.ServerLiveResponse(live=serving.live())),
    "ServerReady": Method(
        oip.ServerReadyRequest, "", lambda serving, _, __: oip.ServerReadyResponse(ready=serving.ready())
    ),
    "ModelReady": Method(oip.ModelReadyRequest, "", _model_ready),
    "ServerMetadata": Method(oip.ServerMetadataRequest, "", lambda *_: server_metadata()),
    "ModelMetadata": Method(
        oip.ModelMetadataRequest,
        "infer",
        lambda serving, request, _: model_metadata(serving, request.name, request.version),
    ),
    "ModelConfig": Method(oip.ModelConfigRequest, "infer", _config),
    "ModelStatistics": Method(
        oip.ModelStatisticsRequest,
        "infer",
        lambda serving, request, _: serving.statistics(request.name, request.version),
    ),
    "RepositoryIndex": Method(oip.RepositoryIndexRequest, "infer", _index),
    "RepositoryModelLoad": Method(oip.RepositoryModelLoadRequest, "admin", _load),
    "RepositoryModelUnload": Method(oip.RepositoryModelUnloadRequest, "admin", _unload),
    "SystemSharedMemoryStatus": Method(oip.SystemSharedMemoryStatusRequest, "infer", _regions),
    "SystemSharedMemoryRegister": Method(oip.SystemSharedMemoryRegisterRequest, "infer", _register),
    "SystemSharedMemoryUnregister": Method(oip.SystemSharedMemoryUnregisterRequest, "infer", _unregister),
    # There is no CUDA shared memory, so none is registered, and forgetting it is done: clients do that first of all.
    "CudaSharedMemoryStatus": Method(
        oip.CudaSharedMemoryStatusRequest, "infer", lambda *_: oip.CudaSharedMemoryStatusResponse()
    ),
    "CudaSharedMemoryUnregister": Method(
        oip.CudaSharedMemoryUnregisterRequest, "infer", lambda *_: oip.CudaSharedMemoryUnregisterResponse()
    ),
    "CudaSharedMemoryRegister": Method(
        oip.CudaSharedMemoryRegisterRequest,
        "infer",
        _unsupported("CUDA shared memory is not supported: use system shared memory"),
    ),
    "TraceSetting": Method(oip.TraceSettingRequest, "admin", _unsupported("the trace extension is not supported")),
    "LogSettings": Method(
        oip.LogSettingsRequest,
        "admin",
        _unsupported("the logging extension is not supported: set log_level in edge-node.toml"),
    ),
}
"""By name. No scope: whoever reaches the port may ask."""
