"""Where the live results of nodes go, remembered for a while, because it is asked for every result."""

import time
from collections.abc import Callable, Mapping
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


class LivePlaces:
    """`of` belongs to one thread, `forget` to any.

    Args:
        look: reads the database: the place of a node whose results are relayed, None of any other.
        monotonic: seconds.
    """

    def __init__(
        self, look: Callable[[NodeId], LivePlace | None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._monotonic = monotonic
        self._known: dict[NodeId, LivePlace | None] = {}
        self._since = monotonic()
        self._changes = 0

    def of(self, node: NodeId) -> LivePlace | None:
        """The place of a node, None: nothing of it is relayed.

        Raises:
            Unreachable: the database does not answer.
        """
        if self._monotonic() - self._since > REMEMBERED_S:
            self._known, self._since = {}, self._monotonic()
        known = self._known
        if node not in known:
            changes, place = self._changes, self._look(node)
            if changes != self._changes:  # it may have changed after it was read: look again the next time
                return place
            known[node] = place
        return known[node]

    def forget(self) -> None:
        """What is known may be outdated."""
        self._changes += 1
        self._known = {}
