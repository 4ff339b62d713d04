"""SystemService: the coordinator at a glance."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from coordinator.api.errors import Context
from coordinator.api.facts import BrokerLink, CoordinatorFacts
from coordinator.fleet.census import Census
from coordinator.results.query import Count, Query
from protos.fleet.v1 import system_pb2 as pb
from protos.fleet.v1.system_pb2_grpc import SystemServiceServicer
from protos.moments import rfc3339


class CountedResults(Protocol):
    """What is asked of a results database."""

    def count(self, query: Query) -> Count:
        """How many answers there are."""


class SystemService(SystemServiceServicer):
    """Counts what there is, and looks at the link."""

    def __init__(
        self,
        facts: CoordinatorFacts,
        link: Callable[[], BrokerLink],
        census: Callable[[], Census],
        results: CountedResults,
    ) -> None:
        self._facts = facts
        self._link = link
        self._census = census
        self._results = results

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.SystemStatus:
        """The coordinator at a glance."""
        census = await asyncio.to_thread(self._census)
        counted = await asyncio.to_thread(self._results.count, Query())
        link = self._link()
        return pb.SystemStatus(
            version=self._facts.version,
            broker_url=self._facts.broker_url,
            broker_kind=self._facts.broker_kind,
            broker_connected=link.connected,
            broker_state=link.state,
            topic_prefix=self._facts.topic_prefix,
            epoch=census.epoch,
            nodes=census.nodes,
            nodes_online=census.nodes_online,
            deployments=census.deployments,
            results=counted.results,
            started_at=rfc3339(self._facts.started_at),
            live_relayed=link.live_relayed,
            live_dropped=link.live_dropped,
        )
