"""Which node follows which: the one that was enrolled with a token of `edgectl node replace` goes on for the old one.

A device that is enrolled anew still holds results in the stream of its former id; the collector asks here before it
takes them from the new one.
"""

import time
from collections.abc import Callable, Iterable

from coordinator.errors import Unreachable
from coordinator.fleet.records import JoinTokenRecord
from coordinator.fleet.store import Store
from protos.identity import NodeId

REMEMBERED_S = 5.0


def follows(tokens: Iterable[JoinTokenRecord], new: NodeId, old: NodeId) -> bool:
    """Whether a node took the place of another one, itself or through those between them. Pure."""
    before = {token.node: NodeId(token.replaces) for token in tokens if token.node and token.replaces}
    seen: set[NodeId] = set()
    while new in before and new not in seen:
        seen.add(new)
        new = before[new]
        if new == old:
            return True
    return False


class Succession:
    """Remembers answers for a moment: a node that is no successor may ask with every message. From one thread."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._answers: dict[tuple[NodeId, NodeId], bool] = {}
        self._since = float("-inf")

    def __call__(self, new: NodeId, old: NodeId) -> bool:
        """Whether a node follows another; not while the database does not answer: it is asked again."""
        if self._monotonic() - self._since > REMEMBERED_S:
            self._answers.clear()
            self._since = self._monotonic()
        if (new, old) not in self._answers:
            try:
                with self._store.read() as tx:
                    self._answers[new, old] = follows(tx.join_tokens.all(), new, old)
            except Unreachable:
                return False
        return self._answers[new, old]
