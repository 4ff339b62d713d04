"""The answers of two versions to the same frames of one pipeline: put together by frame, compared, counted.

Pure: no clock, no process. Which frame an answer is of is said by its time of capture. An answer waits for the other
version's to the same frame until `MOST_WAITING` newer ones have come.
"""

from collections import OrderedDict

from edge_node.pipeline.compare import compare
from edge_node.pipeline.observation import Observation
from edge_node.telemetry.counting import Counting
from edge_node.worker.taking import sampled
from protos.evidence import Evidence

MOST_WAITING = 64


class Comparing:
    """One pipeline: the `current` version's answers and a `candidate`'s.

    Args:
        pipeline: its name.
        session: the key of the current version's session; another one's answers are not compared.
        share: of the frames that the candidate is to answer.
    """

    def __init__(self, pipeline: str, session: str, share: float) -> None:
        self.session = session
        self._pipeline = pipeline
        self._share = share
        self._mine: OrderedDict[int, Observation] = OrderedDict()
        self._theirs: OrderedDict[int, Observation] = OrderedDict()
        self._slices: dict[str, tuple[Counting, Counting]] = {}
        self._unanswered = self._failed = self._failed_before = 0

    @property
    def left_out(self) -> int:
        """Frames of the share that the current version answered and the candidate did not even begin."""
        return max(0, self._unanswered - self._failed)

    @property
    def compared(self) -> int:
        """Frames that both answered."""
        return sum(candidate.evidence().compared for _, candidate in self._slices.values())

    def current(self, seen: Observation, shift: str) -> None:
        """An answer of the current version."""
        if seen.session != self.session or not sampled(seen.captured_ns, self._share):
            return
        theirs = self._theirs.pop(seen.captured_ns, None)
        if theirs is not None:
            self._count(seen, theirs, shift)
        else:
            self._unanswered += _keep(self._mine, seen)

    def candidate(self, seen: Observation, shift: str) -> None:
        """An answer of the candidate."""
        mine = self._mine.pop(seen.captured_ns, None)
        if mine is not None:
            self._count(mine, seen, shift)
        else:
            _keep(self._theirs, seen)

    def failed(self, total: int, shift: str) -> None:
        """So many frames the candidate has failed since its pipeline started, which may have been anew."""
        new = total - self._failed_before if total >= self._failed_before else total
        self._failed_before = total
        if new:
            self._failed += new
            self._slice(shift)[1].failed(new)

    def evidence(self) -> tuple[Evidence, ...]:
        """Of the candidate, slice by slice."""
        return tuple(candidate.evidence() for _, candidate in self._slices.values())

    def reference(self) -> tuple[Evidence, ...]:
        """Of the current version on the same frames."""
        return tuple(current.evidence() for current, _ in self._slices.values())

    def _count(self, mine: Observation, theirs: Observation, shift: str) -> None:
        current, candidate = self._slice(shift)
        current.add(_took_ms(mine), mine.outputs)
        candidate.add(_took_ms(theirs), theirs.outputs)
        found = compare(mine.task, mine.outputs, theirs.outputs)
        candidate.compared(agrees=found.agreed, distance=found.distance)

    def _slice(self, shift: str) -> tuple[Counting, Counting]:
        if shift not in self._slices:
            self._slices[shift] = Counting(self._pipeline, shift), Counting(self._pipeline, shift)
        return self._slices[shift]


def _keep(waiting: OrderedDict[int, Observation], seen: Observation) -> bool:
    """Keep an answer until the other version's comes; whether the oldest had to go for it."""
    waiting[seen.captured_ns] = seen
    if len(waiting) <= MOST_WAITING:
        return False
    waiting.popitem(last=False)
    return True


def _took_ms(seen: Observation) -> float:
    return seen.latency_ms.preprocess + seen.latency_ms.infer + seen.latency_ms.postprocess
