"""Publishes fresh results live in their nodes' place, so that each of them crosses a node's uplink once.

    relay = Relay(broker.publish, topics, places.of)
    relay(stored)           # what the collector has just committed

What was not taken is not relayed, and what is stored is relayed by whoever stored it, once. What is late, because it
waited on the node or here, is not news any more. The topic is of the node's place as the database has it, whatever the
event says. There is a bound on how much is relayed, so that the collector keeps its processor; what is beyond it is
counted and gone.

States and availability are not relayed: they are retained, and a retained message has one writer, the node.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from coordinator.errors import Unreachable
from coordinator.results.live_places import LivePlace
from coordinator.results.pace import Pace
from coordinator.results.records import Arrival
from protos.identity import NodeId
from protos.topics import Topics

NODE_A_SECOND = 100.0
"""Relayed of one node; as many at once. A node that gives more publishes them itself (`live.uplink = "direct"`)."""
ALL_A_SECOND = 1_000.0
"""Relayed of all nodes."""


class Publish(Protocol):
    """The link's `publish`: false where that is not possible now; never blocks."""

    def __call__(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool: ...


class Relay:
    """Belongs to the collector's thread; `counts` may be read on any.

    `place_of` a node: None where nothing of it is relayed. It may raise Unreachable.
    """

    def __init__(
        self,
        publish: Publish,
        topics: Topics,
        place_of: Callable[[NodeId], LivePlace | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """since the start: relayed; dropped: beyond the bound, or not taken by the broker"""
        self._publish, self._topics, self._place_of, self._monotonic = publish, topics, place_of, monotonic
        self._paces: dict[NodeId, Pace] = {}
        self._all = Pace(ALL_A_SECOND, ALL_A_SECOND, monotonic())

    def __call__(self, stored: Iterable[Arrival]) -> None:
        """Relay what is fresh of results that have just been committed, in their order."""
        for result in stored:
            if not result.late:
                self._relay(result)

    def _relay(self, result: Arrival) -> None:
        try:
            place = self._place_of(result.node)
        except Unreachable:  # the controller says so
            place = None
        qos = None if place is None else place.pipelines.get(result.pipeline)
        if place is None or qos is None:
            return
        topic = self._topics.live(place.site, place.name, result.pipeline)
        relayed = self._may_go(result.node) and self._publish(topic, result.event, qos=qos, retain=False)
        self.counts["relayed" if relayed else "dropped"] += 1

    def _may_go(self, node: NodeId) -> bool:
        now = self._monotonic()
        if node not in self._paces:
            self._paces[node] = Pace(NODE_A_SECOND, NODE_A_SECOND, now)
        return self._paces[node].take(now) and self._all.take(now)
