"""The protocol over HTTP: what is asked where, and the JSON of requests. Answers are gRPC's messages, as JSON.

Sources: open-inference/open-inference-protocol (inference_rest.md) and the extensions of triton-inference-server
(docs/protocol/extension_*.md). What a request may hold beyond these fields is ignored, as the protocol says.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

Parameter = str | int | float | bool | None
Parameters = dict[str, Parameter]
Axis = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Shape = Annotated[tuple[Axis, ...], msgspec.Meta(max_length=32)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
MAX_TENSORS = 1024
HEADER_LENGTH = "Inference-Header-Content-Length"
"""Bytes of JSON before the binary tensors of a body; 0: the body is the model's only input."""


class InputTensor(msgspec.Struct, frozen=True):
    """An input. Its content is `data`, or binary (`binary_data_size`), or in shared memory (`shared_memory_region`)."""

    name: str
    shape: Shape
    datatype: str
    parameters: Parameters | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that is wanted; `binary_data`, `classification` and a region of shared memory are parameters."""

    name: str
    parameters: Parameters | None = None


class InferenceRequest(msgspec.Struct, frozen=True):
    """An inference. Without `outputs` all are wanted, as JSON unless the parameter `binary_data_output` is true."""

    inputs: Annotated[tuple[InputTensor, ...], msgspec.Meta(max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[RequestedOutput, ...], msgspec.Meta(max_length=MAX_TENSORS)] | None = None
    id: str | None = None
    parameters: Parameters | None = None


class IndexRequest(msgspec.Struct, frozen=True):
    """Which models of the repository: those that serve, or all."""

    ready: bool = False


class LoadRequest(msgspec.Struct, frozen=True):
    """A model to load or unload. A configuration or files of a client's own are not taken."""

    parameters: Parameters | None = None


class RegisterRequest(msgspec.Struct, frozen=True):
    """Shared memory of the client: its name in the system (as for `shm_open`), and the part of it that is meant."""

    key: str
    byte_size: Size
    offset: Size = 0


class AnsweredTensor(msgspec.Struct, frozen=True):
    """An output: its `data`, flat, or the parameter `binary_data_size`; neither where it was put into shared memory."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Parameters | msgspec.UnsetType = msgspec.UNSET
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET


class InferenceAnswer(msgspec.Struct, frozen=True):
    """What a model answered."""

    model_name: str
    model_version: str
    outputs: list[AnsweredTensor]
    id: str | msgspec.UnsetType = msgspec.UNSET


class Refusal(msgspec.Struct, frozen=True):
    """Every answer that is not 2xx, but the empty ones of health."""

    error: str


@dataclass(frozen=True)
class Operation:
    """One thing to ask. What comes back is a document of this page, or a message of gRPC as JSON, or a field of it."""

    id: str
    method: str
    path: str
    summary: str
    body: type | None = None
    answer: type | str | None = None

    @property
    def scope(self) -> str:
        """What a caller must be allowed, empty for what anybody may know."""
        if self.id in ("load_model", "unload_model"):
            return "admin"
        return "" if self.id in _OF_ANYBODY else "infer"


_OF_ANYBODY = ("server_live", "server_ready", "healthz", "model_ready", "server_metadata", "openapi")


def _of_model(
    name: str, method: str, path: str, summary: str, body: type | None = None, answer: type | str | None = None
) -> list[Operation]:
    """The same for the version that serves by default, and for one that is named."""
    return [
        Operation(name, method, f"/v2/models/{{model}}{path}", summary, body, answer),
        Operation(
            name,
            method,
            f"/v2/models/{{model}}/versions/{{version}}{path}",
            f"{summary}, for one version",
            body,
            answer,
        ),
    ]


def _shared_memory(kind: str, title: str, register: type | None, message: str) -> list[Operation]:
    """Regions of one kind of memory; without a region all of them are meant."""
    place, region = f"/v2/{kind}sharedmemory", f"/v2/{kind}sharedmemory/region/{{region}}"
    status, message = f"{title} that is registered", f"{message}.regions"
    return [
        Operation(f"{kind}_memory_status", "GET", f"{place}/status", status, answer=message),
        Operation(f"{kind}_memory_status", "GET", f"{region}/status", status, answer=message),
        Operation(f"{kind}_memory_register", "POST", f"{region}/register", f"Register {title.lower()}", register),
        Operation(f"{kind}_memory_unregister", "POST", f"{region}/unregister", f"Forget {title.lower()}"),
        Operation(f"{kind}_memory_unregister", "POST", f"{place}/unregister", f"Forget all {title.lower()}"),
    ]


OPERATIONS: tuple[Operation, ...] = (
    Operation("server_live", "GET", "/v2/health/live", "200 where the server answers"),
    Operation("server_ready", "GET", "/v2/health/ready", "200 where all that should serve does, else 400"),
    Operation("healthz", "GET", "/healthz", "200 where all that should serve does, else 503"),
    Operation("server_metadata", "GET", "/v2", "The server and its extensions", answer="ServerMetadataResponse"),
    Operation("openapi", "GET", "/v2/openapi.json", "This document"),
    *_of_model("model_statistics", "GET", "/stats", "What a model did", answer="ModelStatisticsResponse"),
    Operation("all_statistics", "GET", "/v2/models/stats", "What all models did", answer="ModelStatisticsResponse"),
    *_of_model("model_metadata", "GET", "", "Inputs and outputs of a model", answer="ModelMetadataResponse"),
    *_of_model("model_ready", "GET", "/ready", "200 where the model serves, else 400"),
    *_of_model("model_config", "GET", "/config", "How a model is served", answer="ModelConfigResponse.config"),
    *_of_model("infer", "POST", "/infer", "Have a model answer", InferenceRequest, InferenceAnswer),
    Operation(
        "repository_index",
        "POST",
        "/v2/repository/index",
        "Models, whether they serve or not",
        IndexRequest,
        "RepositoryIndexResponse.models",
    ),
    Operation("load_model", "POST", "/v2/repository/models/{model}/load", "Load a model", LoadRequest),
    Operation("unload_model", "POST", "/v2/repository/models/{model}/unload", "Unload a model", LoadRequest),
    *_shared_memory("system", "System shared memory", RegisterRequest, "SystemSharedMemoryStatusResponse"),
    *_shared_memory("cuda", "CUDA shared memory", None, "CudaSharedMemoryStatusResponse"),
    *(
        Operation(name, method, path, f"{title}: not supported, 501")
        for name, path, title in (
            ("trace", "/v2/trace/setting", "Trace settings"),
            ("trace", "/v2/models/{model}/trace/setting", "Trace settings of a model"),
            ("logging", "/v2/logging", "Log settings"),
        )
        for method in ("GET", "POST")
    ),
)
"""All that is answered. Of two paths that fit, the first counts."""
