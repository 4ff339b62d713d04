"""The standard health service (grpc.health.v1): the node (``), its inference service, and each model by its name.

It keeps no state: readiness is asked for at each check, and twice a second for those who watch.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rpc.edge import Context, Edge
from edge_node.serving.rpc.status import CODES, retry_after
from edge_node.serving.seam import Serving

INFERENCE = "inference.GRPCInferenceService"
LOOK_EVERY_S = 0.5
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # its package has no types
    """Answers from what serves at the moment; anybody, but not anybody as often as they like."""

    def __init__(self, serving: Serving, edge: Edge) -> None:
        self._serving = serving
        self._edge = edge

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:  # noqa: N802
        """The status of a service, NOT_FOUND for one that is not known."""
        return await self._edge.answered(context, self._check(request, context))

    async def _check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        with self._edge.admit(context, ""):
            status = state(self._serving, request.service)
        if status == UNKNOWN:
            raise ServingError(Kind.NOT_FOUND, f"there is no service or model '{request.service}'")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status, and again whenever it has changed."""
        try:
            admitted = self._edge.admit(context, "")
        except ServingError as error:
            await self._edge.hold(error)
            await context.abort(CODES[error.kind], error.reason, retry_after(error))
        last = None
        with admitted:
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
