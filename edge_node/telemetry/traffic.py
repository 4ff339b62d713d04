"""Bytes in and out of the node, counted since the agent started: what left by kind, what was refused by reason.

Sources and pipelines count what they take in themselves, and begin again at 0 when they are started anew; `Totals`
makes one rising number of that.
"""

import threading
from collections import Counter
from collections.abc import Mapping


class Traffic:
    """What left and what was refused. Thread-safe: the MQTT library says its greeting on a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def left(self, kind: str, size: int) -> None:
        """A message of so many bytes of payload was handed over."""
        with self._lock:
            self._out[kind] += size

    def refused(self, reason: str) -> int:
        """A message was refused; how many have been for this reason, with it."""
        with self._lock:
            self._refused[reason] += 1
            return self._refused[reason]

    @property
    def out(self) -> dict[str, int]:
        """Bytes that left, by kind."""
        with self._lock:
            return dict(self._out)

    @property
    def refusals(self) -> dict[str, int]:
        """Messages that were refused, by reason."""
        with self._lock:
            return dict(self._refused)


class Totals:
    """Rising totals of counters that begin again at 0 now and then."""

    def __init__(self) -> None:
        self._before: Counter[str] = Counter()
        self._newest: dict[str, int] = {}

    def see(self, counts: Mapping[str, int]) -> dict[str, int]:
        """The totals, by name, after these counts; a name that is not among them keeps its total."""
        for name, count in counts.items():
            if count < self._newest.get(name, 0):
                self._before[name] += self._newest[name]
            self._newest[name] = count
        return {name: self._before[name] + count for name, count in self._newest.items()}
