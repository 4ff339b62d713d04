"""Whose results are taken, remembered for a moment: asked for every message."""

import time
from collections.abc import Callable

from coordinator.errors import Unreachable
from coordinator.fleet.store import Store
from protos.identity import NodeId

REMEMBERED_S = 5.0


class AdmittedNodes:
    """Whether results of a node are taken: those of a deleted one are not. Callable from one thread.

    A node that is unknown for another reason (this database was restored from a backup) keeps its results coming.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._answers: dict[NodeId, bool] = {}
        self._since = float("-inf")

    def __call__(self, node: NodeId) -> bool:
        """Whether to take them now; not while the database does not answer: they come again."""
        if self._monotonic() - self._since > REMEMBERED_S:
            self._answers.clear()
            self._since = self._monotonic()
        if node not in self._answers:
            try:
                with self._store.read() as tx:
                    self._answers[node] = not tx.retained.is_forgotten(node)
            except Unreachable:
                return False
        return self._answers[node]
