"""What the demo makes of results: counts, latencies, and how often a node was right.

Pure: results and the time come in, numbers go out. The known truth of the clip is a list of stretches of its running
time; results carry the running time of their frame (`stream_time_s`), so each is judged by the stretch that it falls
into, and by none where the truth claims nothing (a part on its way in or out).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from protos.result import Classified, Event

KEPT = 20_000
"""Latencies kept for the quantiles: more than a quarter of an hour of one node."""

ClassifiedEvent = Event[Classified]


class Interval(msgspec.Struct, frozen=True):
    """From `from_s` up to, not including, `to_s` the clip shows `label`."""

    from_s: float
    to_s: float
    label: str


class Truth(msgspec.Struct, frozen=True):
    """What a clip shows when: the intervals in order, without overlaps."""

    clip: str
    fps: float
    duration_s: float
    intervals: tuple[Interval, ...]

    def at(self, stream_time_s: float) -> str | None:
        """The class at a running time, also in later rounds of a looped clip; None where nothing is claimed."""
        at_s = stream_time_s % self.duration_s
        before = bisect_right(self.intervals, at_s, key=lambda interval: interval.from_s)
        if before == 0 or at_s >= self.intervals[before - 1].to_s:
            return None
        return self.intervals[before - 1].label


@dataclass
class Tally:
    """What one node has delivered."""

    results: int = 0
    judged: int = 0
    right: int = 0
    label: str = ""
    score: float = 0.0
    frame_bytes: int = 0
    """of the newest frame, decoded: three bytes a pixel"""
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """from capture to result, on the node"""
    delivery_ms: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """from capture to being read back from the coordinator's store"""
    history: deque[str] = field(default_factory=lambda: deque(maxlen=26))
    """every third label: a part is some fourteen frames long"""
    arrivals_s: deque[float] = field(default_factory=lambda: deque(maxlen=64))

    def add(self, event: ClassifiedEvent, truth: Truth, captured_s: float, now_s: float) -> None:
        """Count a result that arrived at `now_s`; both times are seconds since 1970."""
        data = event.data
        best = data.outputs[0]
        self.results += 1
        self.label, self.score = best.label, best.score
        if self.results % 3 == 0:
            self.history.append(best.label)
        self.arrivals_s.append(now_s)
        if data.frame is not None:
            self.frame_bytes = 3 * data.frame.width * data.frame.height
        times = data.latency_ms
        self.latencies_ms.append(times.queue + times.preprocess + times.infer + times.postprocess)
        self.delivery_ms.append((now_s - captured_s) * 1000)
        expected = None if data.stream_time_s is None else truth.at(data.stream_time_s)
        if expected is not None:
            self.judged += 1
            self.right += expected == best.label

    def rate(self, now_s: float, window_s: float = 2.0) -> float:
        """Results per second in the newest window."""
        return sum(now_s - arrival <= window_s for arrival in self.arrivals_s) / window_s


def quantile(values: Iterable[float], share: float) -> float | None:
    """The nearest-rank quantile, None without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def accuracy(tallies: Sequence[Tally]) -> float | None:
    """The share of judged results that were right, None where none was judged."""
    judged = sum(tally.judged for tally in tallies)
    return sum(tally.right for tally in tallies) / judged if judged else None
