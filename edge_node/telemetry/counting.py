"""The evidence of one slice while it grows: an answer costs a few microseconds and leaves nothing but counts.

    slice = Counting("shelf")
    slice.add(7.2, [{"label": "macaw", "score": 0.98, "index": 88}])
    slice.failed()
    slice.evidence()

What the counts mean is `protos.evidence`. Not thread-safe: one thread counts a slice.
"""

from collections.abc import Mapping, Sequence
from math import isfinite

from protos.evidence import CONFIDENCE_BINS, MOST_CLASSES, Evidence, bucket_of, confidence_bin

NOTHING = "(nothing)"
"""The class of an answer that found nothing, so that a detector which goes blind is seen."""
OTHERS = ""
"""The class of what is beyond `MOST_CLASSES`."""
LONGEST_CLASS = 160

Best = tuple[str, float]
"""The best label of an answer and its score."""


class Counting:
    """Counts the answers of one slice, which `pipeline` and `shift` name."""

    def __init__(self, pipeline: str = "", shift: str = "") -> None:
        self._pipeline, self._shift = pipeline, shift
        self._samples = self._errors = self._compared = self._agreed = 0
        self._distance = 0.0
        self._latency: dict[int, int] = {}
        self._confidence = [0] * CONFIDENCE_BINS
        self._classes: dict[str, int] = {}

    def add(self, latency_ms: float, outputs: Sequence[object]) -> None:
        """Count an answer.

        Args:
            latency_ms: of preprocessing, inference and postprocessing together.
            outputs: builtins in the form of the task's struct in `protos.result`, as an `Observation` has them.
        """
        best = best_of(outputs)
        if best is not None and not isfinite(best[1]):
            self._errors += 1
            return
        self.timed(latency_ms)
        if best is not None:
            self._confidence[confidence_bin(best[1])] += 1
            self._count_class(best[0])

    def timed(self, latency_ms: float) -> None:
        """Count an answer of which only the latency is known."""
        self.bucketed(bucket_of(latency_ms), 1)

    def bucketed(self, bucket: int, count: int) -> None:
        """Count answers of which only the latency's bucket is known."""
        if count > 0:
            self._samples += count
            self._latency[bucket] = self._latency.get(bucket, 0) + count

    def failed(self, count: int = 1) -> None:
        """Count frames or asks that got no answer."""
        self._errors += count

    def compared(self, *, agrees: bool, distance: float) -> None:
        """Count an answer that was compared with another version's to the same frame."""
        self._compared += 1
        self._agreed += agrees
        self._distance += distance

    def evidence(self) -> Evidence:
        """The counts so far."""
        return Evidence(
            self._pipeline,
            self._shift,
            samples=self._samples,
            errors=self._errors,
            latency=dict(self._latency),
            confidence=tuple(self._confidence) if any(self._confidence) else (),
            classes=dict(self._classes),
            compared=self._compared,
            agreed=self._agreed,
            distance=self._distance,
        )

    def _count_class(self, label: str) -> None:
        label = label[:LONGEST_CLASS]
        if label not in self._classes and len(self._classes.keys() - {OTHERS}) >= MOST_CLASSES:
            label = OTHERS
        self._classes[label] = self._classes.get(label, 0) + 1


def best_of(outputs: Sequence[object]) -> Best | None:
    """The best label of an answer and its score, any that is no number first; None of raw tensors, which have neither.

    Pure. An anomaly's score is its reconstruction error, and its label the verdict where there is one.
    """
    best: Best | None = None
    for output in outputs:
        if not isinstance(output, Mapping) or "score" not in output:
            return None
        score = float(output["score"])
        if not isfinite(score):
            return _label(output), score
        if best is None or score > best[1]:
            best = _label(output), score
    return best if outputs else (NOTHING, 0.0)


def _label(output: Mapping[str, object]) -> str:
    if "label" in output:
        return str(output["label"])
    anomalous = output.get("anomalous")
    return OTHERS if anomalous is None else "anomalous" if anomalous else "normal"
