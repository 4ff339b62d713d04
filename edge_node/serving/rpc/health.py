"""The standard health service (grpc.health.v1): the node (``), its inference service, and each model by its name.

It keeps no state: readiness is asked for at each check, and twice a second for those who watch.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.seam import Serving

INFERENCE = "inference.GRPCInferenceService"
LOOK_EVERY_S = 0.5
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
Context = grpc.aio.ServicerContext[Any, Any]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # its package has no types
    """Answers from what serves at the moment."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:  # noqa: N802
        """The status of a service, NOT_FOUND for one that is not known."""
        status = state(self._serving, request.service)
        if status == UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service or model '{request.service}'")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002 - as the service has it
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status, and again whenever it has changed."""
        last = None
        while True:
            if (status := state(self._serving, request.service)) != last:
                yield health_pb2.HealthCheckResponse(status=status)
            last = status
            await asyncio.sleep(LOOK_EVERY_S)


def state(serving: Serving, service: str) -> Any:
    """The status of a service or a model."""
    if service in ("", INFERENCE):
        return SERVING if serving.ready() else NOT_SERVING
    try:
        serving.model(service, "")
    except ServingError as error:
        return UNKNOWN if error.kind is Kind.NOT_FOUND else NOT_SERVING
    return SERVING
