"""Answers as people read them: a line for one, a summary for many. Pure."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edge_node.pipeline.runner import Answer
from protos.result import Anomaly, Classified, Detected, Output, Tensor

MOST_FREQUENT = 5


def answer_line(answer: Answer) -> str:
    """`macaw 0.996, …` and the milliseconds."""
    worth = [result for result in answer.outputs if not _negligible(result)] or answer.outputs[:1]
    what = ", ".join(map(result_text, worth)) or "nothing"
    steps = (
        f"preprocess {answer.preprocess_ms:.1f}, infer {answer.infer_ms:.1f}, postprocess {answer.postprocess_ms:.1f}"
    )
    return f"{what}  [{total_ms(answer):.1f} ms: {steps}]"


def result_text(result: Output) -> str:
    """One result of any task."""
    match result:
        case Classified():
            return f"{result.label} {result.score:.3f}"
        case Detected():
            corners = " ".join(f"{corner:.3f}" for corner in result.box)
            return f"{result.label} {result.score:.3f} at [{corners}]"
        case Anomaly():
            verdict = {None: "", True: f" above {result.threshold}", False: f" below {result.threshold}"}
            return f"error {result.score:.3f}{verdict[result.anomalous]}"
        case Tensor():
            values = " ".join(f"{value:.4g}" for value in result.values[:8])
            return f"{result.name} {list(result.shape)}: {values}{' …' if len(result.values) > 8 else ''}"


def _negligible(result: Output) -> bool:
    """A class whose score would read 0.000."""
    return isinstance(result, Classified) and result.score < 0.0005


def total_ms(answer: Answer) -> float:
    """From the sample to the answer."""
    return answer.preprocess_ms + answer.infer_ms + answer.postprocess_ms


def summary(answers: Sequence[Sequence[Output]], latencies_ms: Sequence[float], seconds: float) -> str:
    """What many answers say together: how often, how much, how fast."""
    rate = len(answers) / seconds if seconds > 0 else 0.0
    p50, p95, p99 = np.percentile(latencies_ms, (50, 95, 99))
    speed = f"{len(answers)} samples in {seconds:.1f} s ({rate:.1f}/s)"
    latency = f"latency p50 {p50:.1f} p95 {p95:.1f} p99 {p99:.1f} ms"
    return "\n".join([f"{speed}, {latency}", *_content(answers)])


def _content(answers: Sequence[Sequence[Output]]) -> list[str]:
    first = [results[0] for results in answers if results]
    if any(isinstance(result, Classified) for result in first):
        return _counted(Counter(result.label for result in first if isinstance(result, Classified)), len(answers))
    scores = np.array([result.score for result in first if isinstance(result, Anomaly)])
    if scores.size:
        anomalous = sum(isinstance(result, Anomaly) and bool(result.anomalous) for result in first)
        return [f"error {_range(scores)}, {anomalous} anomalous"]
    if any(isinstance(result, Tensor) for result in first):
        return _tensors([result for result in first if isinstance(result, Tensor)])
    boxes = Counter(result.label for results in answers for result in results if isinstance(result, Detected))
    return [f"{sum(boxes.values())} boxes, {sum(boxes.values()) / max(1, len(answers)):.2f} a sample", *_plain(boxes)]


def _counted(labels: Counter[str], total: int) -> list[str]:
    return [f"{count:6d} of {total}  {label}" for label, count in labels.most_common(MOST_FREQUENT)]


def _plain(labels: Counter[str]) -> list[str]:
    return [f"{count:6d}  {label}" for label, count in labels.most_common(MOST_FREQUENT)]


def _tensors(tensors: Sequence[Tensor]) -> list[str]:
    values = np.array([value for tensor in tensors for value in tensor.values])
    above = f", {np.mean(values > 0.5):.1%} above 0.5" if len(values) == len(tensors) else ""
    return [f"{tensors[0].name} {_range(values)}{above}"] if values.size else []


def _range(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    return f"mean {values.mean():.3f}, {values.min():.3f} to {values.max():.3f}"
