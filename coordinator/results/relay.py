"""Publishes fresh results live in their nodes' place, so that each of them crosses a node's uplink once.

    relay = Relay(hub, broker.publish, topics, places)
    await relay.run()           # until hub.close()

It watches what the collector has committed, as `edgectl results tail` does: what was not taken is not relayed, what is
stored is relayed by whoever stored it, once, and a slow relay loses results, counted, and never holds a commit up. What
is late, because it waited on the node or here, is not news any more. The topic is of the node's place as the database
has it, whatever the event says.

States and availability are not relayed: they are retained, and a retained message has one writer, the node.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from coordinator.errors import Unreachable
from coordinator.results.live_places import LivePlaces
from coordinator.results.pace import Pace
from coordinator.results.query import Filter
from coordinator.results.records import Arrival
from coordinator.results.tail import TailHub
from protos.identity import NodeId
from protos.topics import Topics

MAX_WAITING = 1_000
"""Results that wait to be relayed."""
NODE_A_SECOND = 100.0
"""Relayed of one node; as many at once. A node that gives more publishes them itself (`live.uplink = "direct"`)."""
ALL_A_SECOND = 1_000.0
"""Relayed of all nodes: what this costs must leave the collector its processor."""


class Publish(Protocol):
    """The link's `publish`: false where that is not possible now; never blocks."""

    def __call__(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool: ...


class Relay:
    """Everything on the event loop."""

    def __init__(
        self,
        hub: TailHub,
        publish: Publish,
        topics: Topics,
        places: LivePlaces,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """since the start: relayed; dropped: too many, or the broker took none"""
        self._hub, self._publish, self._topics, self._places = hub, publish, topics, places
        self._monotonic = monotonic
        self._paces: dict[NodeId, Pace] = {}
        self._all = Pace(ALL_A_SECOND, ALL_A_SECOND, monotonic())

    async def run(self) -> None:
        """Relay until the hub is closed."""
        with self._hub.subscribe(Filter(), MAX_WAITING) as subscription:
            async for batch in subscription:
                self.counts["dropped"] += batch.dropped
                await self._relay([result for result in batch.results if not result.late])

    async def _relay(self, fresh: Sequence[Arrival]) -> None:
        try:
            places = await self._places.of({result.node for result in fresh})
        except Unreachable:  # the controller says it
            self.counts["dropped"] += len(fresh)
            return
        for result in fresh:
            place = places.get(result.node)
            qos = None if place is None else place.pipelines.get(result.pipeline)
            if place is not None and qos is not None:
                topic = self._topics.live(place.site, place.name, result.pipeline)
                relayed = self._may_go(result.node) and self._publish(topic, result.event, qos=qos, retain=False)
                self.counts["relayed" if relayed else "dropped"] += 1

    def _may_go(self, node: NodeId) -> bool:
        now = self._monotonic()
        if node not in self._paces:
            self._paces[node] = Pace(NODE_A_SECOND, NODE_A_SECOND, now)
        return self._paces[node].take(now) and self._all.take(now)
