"""SystemService: the coordinator at a glance."""

import asyncio
from collections.abc import Callable

from coordinator.api.errors import Context
from coordinator.api.facts import CoordinatorFacts
from coordinator.fleet.census import Census
from coordinator.fleet.documents import rfc3339
from protos.fleet.v1 import system_pb2 as pb
from protos.fleet.v1.system_pb2_grpc import SystemServiceServicer


class SystemService(SystemServiceServicer):
    """Counts what there is."""

    def __init__(self, facts: CoordinatorFacts, census: Callable[[], Census], count_results: Callable[[], int]) -> None:
        self._facts = facts
        self._census = census
        self._count_results = count_results

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.SystemStatus:
        """The coordinator at a glance."""
        census = await asyncio.to_thread(self._census)
        return pb.SystemStatus(
            version=self._facts.version,
            broker_url=self._facts.broker_url,
            broker_kind=self._facts.broker_kind,
            topic_prefix=self._facts.topic_prefix,
            epoch=census.epoch,
            nodes=census.nodes,
            nodes_online=census.nodes_online,
            deployments=census.deployments,
            results=await asyncio.to_thread(self._count_results),
            started_at=rfc3339(self._facts.started_at),
        )
