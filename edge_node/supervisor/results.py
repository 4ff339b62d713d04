"""From what a pipeline saw to the two ways out: numbered in the outbox first, then published live.

An id that is seen live is always one that the outbox has taken (or has counted as dropped). Counts and latencies of
each pipeline are kept for whoever asks.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_node.outbox.events import Draft, PipelineContext
from edge_node.outbox.ledger import Committed
from edge_node.pipeline.observation import Observation
from protos.deployment import Live as LiveSettings
from protos.deployment import Pipeline

RECENT = 512
"""Latencies kept of each pipeline."""


PublishLive = Callable[[str, LiveSettings, bytes, Sequence[Any], bool], None]
"""Pipeline, what is wanted live of it, event, outputs, and whether the outbox has the event."""


@dataclass
class Tally:
    """What came out of a pipeline since the agent started; latencies from capture to commit, newest last."""

    results: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))


class Results:
    """The results of all pipelines, on the event loop.

    `context` says what is true of a session's results in a pipeline, None where the node no longer knows it; `settings`
    what a pipeline's deployment wants of it.
    """

    def __init__(
        self,
        submit: Callable[[Sequence[Draft]], None],
        context: Callable[[str, str], PipelineContext | None],
        settings: Callable[[str], Pipeline | None],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._submit = submit
        self._context = context
        self._settings = settings
        self._wall_ns = wall_ns
        self.live: PublishLive | None = None
        self.tallies: dict[str, Tally] = {}
        self.unknown = 0
        """results of sessions that the node no longer knows"""

    def observed(self, observations: Sequence[Observation]) -> None:
        """Hand what pipelines saw to the outbox."""
        drafts = [
            Draft(seen, context)
            for seen in observations
            if (context := self._context(seen.pipeline, seen.session)) is not None
        ]
        self.unknown += len(observations) - len(drafts)
        self._submit(drafts)

    def committed(self, batch: Sequence[Committed]) -> None:
        """Publish what the outbox has numbered, and count it."""
        now_ns = self._wall_ns()
        for one in batch:
            seen = one.draft.observation
            tally = self.tallies.setdefault(seen.pipeline, Tally())
            tally.results += 1
            tally.latencies_ms.append((now_ns - seen.captured_ns) / 1e6)
            pipeline = self._settings(seen.pipeline)
            if self.live is not None and pipeline is not None:
                self.live(seen.pipeline, pipeline.live, one.event, seen.outputs, one.stored)


def quantile(values: Sequence[float], fraction: float) -> float | None:
    """The nearest-rank quantile, None of nothing. Pure."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]
