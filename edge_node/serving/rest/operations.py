"""Everything but inference: each operation asks `Serving` and gives the JSON that goes back, None for no content."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import Message

from edge_node.serving.described import model_config, model_metadata, server_metadata
from edge_node.serving.inference import Caller, Kind, ServingError
from edge_node.serving.rest.errors import HttpError
from edge_node.serving.rest.plain import plain
from edge_node.serving.rest.reading import decoded
from edge_node.serving.seam import Serving
from protos.inference import grpc_service_pb2 as oip
from protos.inference import rest

_INDEX = msgspec.json.Decoder(rest.IndexRequest)
_LOAD = msgspec.json.Decoder(rest.LoadRequest)
_REGISTER = msgspec.json.Decoder(rest.RegisterRequest)
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True)
class Ask:
    """What is asked: names of the path, the body, and by whom."""

    names: Mapping[str, str]
    body: bytes
    caller: Caller

    @property
    def model(self) -> tuple[str, str]:
        """Name and version, empty where the path names none."""
        return self.names.get("model", ""), self.names.get("version", "")


Content = bytes | None
Handler = Callable[[Serving, Ask], Awaitable[Content]]


async def server_live(serving: Serving, _: Ask) -> Content:
    """Empty: the status says it."""
    return _unless(serving.live(), 400)


async def server_ready(serving: Serving, _: Ask) -> Content:
    """Empty: the status says it. "Not ready" is 4xx by the protocol."""
    return _unless(serving.ready(), 400)


async def healthz(serving: Serving, _: Ask) -> Content:
    """For probes that expect 503."""
    return _unless(serving.ready(), 503)


async def model_ready(serving: Serving, ask: Ask) -> Content:
    """Empty: the status says it, 404 where there is no such model."""
    try:
        serving.model(*ask.model)
    except ServingError as error:
        if error.kind is not Kind.NOT_READY:
            raise
        raise HttpError(400, error.reason) from None
    return None


def _unless(fine: bool, status: int) -> Content:
    if not fine:
        raise HttpError(status, "not ready: not all that should serve does")
    return None


async def describe_server(_: Serving, __: Ask) -> Content:
    """Name, version, extensions."""
    return _message(server_metadata())


async def openapi(_: Serving, __: Ask) -> Content:
    """The OpenAPI document; made when somebody asks."""
    from protos.inference.openapi import openapi_json

    return openapi_json()


async def describe_model(serving: Serving, ask: Ask) -> Content:
    """Inputs and outputs."""
    return _message(model_metadata(serving, *ask.model))


async def configuration(serving: Serving, ask: Ask) -> Content:
    """How it is served."""
    return _message(model_config(serving.model(*ask.model)))


async def statistics(serving: Serving, ask: Ask) -> Content:
    """Of one model, or of all."""
    return _message(serving.statistics(*ask.model))


async def repository_index(serving: Serving, ask: Ask) -> Content:
    """All models, or those that serve."""
    wanted = decoded(_INDEX, ask.body) if ask.body.strip() else rest.IndexRequest()
    states = [one for one in serving.index() if one.state == "READY" or not wanted.ready]
    entry = oip.RepositoryIndexResponse.ModelIndex
    return _messages(entry(name=one.model, version=one.version, state=one.state, reason=one.reason) for one in states)


async def load_model(serving: Serving, ask: Ask) -> Content:
    """Returns when it serves."""
    parameters = decoded(_LOAD, ask.body).parameters if ask.body.strip() else None
    if parameters:
        raise ServingError(Kind.UNSUPPORTED, "a model is loaded as the node has it: load takes no parameters")
    await serving.load(ask.names["model"])
    return None


async def unload_model(serving: Serving, ask: Ask) -> Content:
    """Returns when it serves no more. `unload_dependents` says nothing here: no model depends on another one."""
    if ask.body.strip():
        decoded(_LOAD, ask.body)
    await serving.unload(ask.names["model"])
    return None


async def memory_status(serving: Serving, ask: Ask) -> Content:
    """All regions, or one."""
    regions, name = serving.regions(), ask.names.get("region")
    if name is not None and name not in regions:
        raise ServingError(Kind.NOT_FOUND, f"Unable to find system shared memory region: '{name}'")
    entry = oip.SystemSharedMemoryStatusResponse.RegionStatus
    return _messages(
        entry(name=one, key=key, offset=offset, byte_size=size)
        for one, (key, offset, size) in regions.items()
        if name in (None, one)
    )


async def memory_register(serving: Serving, ask: Ask) -> Content:
    """Register one region."""
    wanted = decoded(_REGISTER, ask.body)
    serving.register(ask.names["region"], wanted.key, wanted.offset, wanted.byte_size, ask.caller)
    return None


async def memory_unregister(serving: Serving, ask: Ask) -> Content:
    """Forget one region, or all."""
    serving.unregister(ask.names.get("region", ""), ask.caller)
    return None


async def cuda_status(_: Serving, ask: Ask) -> Content:
    """There are none."""
    return _JSON.encode([]) if "region" not in ask.names else _no_cuda()


async def cuda_unregister(_: Serving, __: Ask) -> Content:
    """There are none to forget: programs call this before they use system shared memory."""
    return None


async def cuda_register(_: Serving, __: Ask) -> Content:
    """Not here."""
    return _no_cuda()


async def trace(_: Serving, __: Ask) -> Content:
    """Not here."""
    raise ServingError(Kind.UNSUPPORTED, "trace settings are not supported: see the statistics and /metrics")


async def logging(_: Serving, __: Ask) -> Content:
    """Not here."""
    raise ServingError(Kind.UNSUPPORTED, "log settings are not supported: the node's own configuration has them")


def _no_cuda() -> Content:
    raise ServingError(Kind.UNSUPPORTED, "CUDA shared memory is not supported: use system shared memory")


def _message(message: Message) -> bytes:
    return _JSON.encode(plain(message))


def _messages(messages: Iterable[Message]) -> bytes:
    documents: list[dict[str, Any]] = [plain(message) for message in messages]
    return _JSON.encode(documents)


HANDLERS: Mapping[str, Handler] = {
    "server_live": server_live,
    "server_ready": server_ready,
    "healthz": healthz,
    "server_metadata": describe_server,
    "openapi": openapi,
    "model_metadata": describe_model,
    "model_ready": model_ready,
    "model_config": configuration,
    "model_statistics": statistics,
    "all_statistics": statistics,
    "repository_index": repository_index,
    "load_model": load_model,
    "unload_model": unload_model,
    "system_memory_status": memory_status,
    "system_memory_register": memory_register,
    "system_memory_unregister": memory_unregister,
    "cuda_memory_status": cuda_status,
    "cuda_memory_register": cuda_register,
    "cuda_memory_unregister": cuda_unregister,
    "trace": trace,
    "logging": logging,
}
"""By the operation's id."""
