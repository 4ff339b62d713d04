"""Where the live results of nodes go, remembered for a while, because it is asked for every result.

places = LivePlaces(look)           # look(nodes) reads the database; blocking
(await places.of({node}))[node]     # None: nothing of it is relayed
places.forget(node)                 # what is true of it has changed
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from protos.identity import NodeId

REMEMBERED_S = 10.0
"""Another coordinator process may change the tables and tell nobody."""


@dataclass(frozen=True)
class LivePlace:
    """What a node whose results are relayed is called today, and the quality of service of its live pipelines."""

    site: str
    name: str
    pipelines: Mapping[str, int]


Look = Callable[[Collection[NodeId]], Mapping[NodeId, LivePlace]]
"""The places of those among the nodes whose results are relayed. May raise Unreachable."""


class LivePlaces:
    """On the event loop; `look` is called on a thread of its own."""

    def __init__(self, look: Look, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._monotonic = monotonic
        self._known: dict[NodeId, LivePlace | None] = {}
        self._since = monotonic()

    async def of(self, nodes: Collection[NodeId]) -> Mapping[NodeId, LivePlace | None]:
        """The places of these nodes, and perhaps of others.

        Raises:
            Unreachable: the database does not answer.
        """
        if self._monotonic() - self._since > REMEMBERED_S:
            self.forget()
        known = self._known  # `forget` puts another in its place: what is being read then may be outdated
        unknown = [node for node in nodes if node not in known]
        if unknown:
            found = await asyncio.to_thread(self._look, unknown)
            known.update((node, found.get(node)) for node in unknown)
        return known

    def forget(self, node: NodeId | None = None) -> None:
        """What is known of a node, or of all, may be outdated."""
        if node is None:
            self._known, self._since = {}, self._monotonic()
        else:
            self._known = {other: place for other, place in self._known.items() if other != node}
