"""Which frames a pipeline takes: those that its rate keeps; a shadow of it those of them that its budget allows. Pure.

A shadow has to see the same frames as the pipeline that it watches: hence the rate is counted in the stream's own time
(`Thinning`), and the share is decided by the frame's time of capture alone.
"""

from edge_node.capture.pacing import Thinning
from edge_node.worker.messages import Budget, PipelineRun

SAVED_S = 2.0
"""A budget that is not used grows for so long; then a busy second is not paid for by an idle hour."""

_RANGE = 2**64


def sampled(captured_ns: int, share: float) -> bool:
    """Whether a frame is in a share of all frames: the same answer for everybody who asks."""
    return share >= 1.0 or mixed(captured_ns) < share * _RANGE


def mixed(number: int) -> int:
    """A number of 64 bits that looks random, also of numbers at equal distances (the finalizer of SplitMix64: Steele,
    Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
    """
    number %= _RANGE
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % _RANGE
    number = (number ^ number >> 27) * 0x94D049BB133111EB % _RANGE
    return number ^ number >> 31


class CpuBudget:
    """So many seconds of a core each second, on average.

    A frame's cost is known only afterwards: one that costs more than was left is paid for by the frames after it.
    """

    def __init__(self, cores: float) -> None:
        self._cores = cores
        self._left_s = cores * SAVED_S
        self._seen: tuple[float, float] | None = None

    def allows(self, now_s: float, spent_s: float) -> bool:
        """Whether another frame may be begun.

        Args:
            now_s: the time.
            spent_s: the processor's time that has been used so far, and an accelerator's where one works for it.
        """
        if self._seen is not None:
            earned_s = self._cores * (now_s - self._seen[0])
            self._left_s = min(self._left_s + earned_s - (spent_s - self._seen[1]), self._cores * SAVED_S)
        self._seen = now_s, spent_s
        return self._left_s > 0


class Taking:
    """Which frames one pipeline takes."""

    def __init__(self, run: PipelineRun) -> None:
        self._thinning = Thinning(run.fps)
        self._budget: Budget | None = run.shadow
        self._cpu = None if run.shadow is None else CpuBudget(run.shadow.cpu)

    def takes(self, time_s: float, captured_ns: int, now_s: float, spent_s: float) -> bool:
        """Whether the frame is for this pipeline.

        Args:
            time_s: of the frame, in the stream's own time.
            captured_ns: the wall clock at its capture.
            now_s: the time now.
            spent_s: the processor's time that this process has used, and the accelerator's that it runs on.
        """
        if not self._thinning.keeps(time_s):
            return False
        if self._budget is None or self._cpu is None:
            return True
        return sampled(captured_ns, self._budget.share) and self._cpu.allows(now_s, spent_s)
