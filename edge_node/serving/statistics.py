"""What a served version has done: for the statistics extension and for the metrics. Adding up is cheap, reading is not.

Times are nanoseconds. What they are called outside is not decided here: `metrics`, and `response` for Triton's clients.
"""

from bisect import bisect_left
from itertools import accumulate

from edge_node.lane.messages import Answer
from edge_node.serving.inference import Kind
from protos.inference import grpc_service_pb2 as oip

BOUNDS_NS = tuple(
    int(milliseconds * 1e6)
    for milliseconds in (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)


class Times:
    """Durations that were seen: their sum, and how many fell below each bound of `BOUNDS_NS`."""

    __slots__ = ("buckets", "ns")

    def __init__(self) -> None:
        self.ns = 0
        self.buckets = [0] * (len(BOUNDS_NS) + 1)

    def add(self, ns: int) -> None:
        """One more."""
        self.ns += ns
        self.buckets[bisect_left(BOUNDS_NS, ns)] += 1

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.buckets)

    def below(self) -> list[int]:
        """How many are not above each bound, and all of them."""
        return list(accumulate(self.buckets))


class Statistics:
    """Of one served version. `total` are whole requests that were answered, from their arrival."""

    def __init__(self) -> None:
        self.total = Times()
        self.queue = Times()
        self.input = Times()
        self.infer = Times()
        self.output = Times()
        self.refused: dict[Kind, int] = {}
        self.refused_ns = 0
        self.rows = 0
        self.batches: dict[int, list[int]] = {}
        self.last_ms = 0

    def answered(self, rows: int, queue_ns: int, total_ns: int, answer: Answer) -> None:
        """A request was answered; the batch's times count for each of its requests, as Triton counts them."""
        self.rows += rows
        self.total.add(total_ns)
        self.queue.add(queue_ns)
        self.input.add(answer.input_ns)
        self.infer.add(answer.infer_ns)
        self.output.add(answer.output_ns)

    def executed(self, answer: Answer, now_ms: int) -> None:
        """The engine has worked once."""
        batch = self.batches.setdefault(answer.batch, [0, 0, 0, 0])
        batch[0] += 1
        batch[1] += answer.input_ns
        batch[2] += answer.infer_ns
        batch[3] += answer.output_ns
        self.last_ms = now_ms

    def refuse(self, kind: Kind, ns: int) -> None:
        """A request got no answer."""
        self.refused[kind] = self.refused.get(kind, 0) + 1
        self.refused_ns += ns

    @property
    def executions(self) -> int:
        """How often the engine has worked."""
        return sum(batch[0] for batch in self.batches.values())


def response(name: str, version: str, of: Statistics) -> oip.ModelStatistics:
    """The statistics extension's message."""
    return oip.ModelStatistics(
        name=name,
        version=version,
        last_inference=of.last_ms,
        inference_count=of.rows,
        execution_count=of.executions,
        inference_stats=oip.InferStatistics(
            success=_duration(of.total),
            fail=oip.StatisticDuration(count=sum(of.refused.values()), ns=of.refused_ns),
            queue=_duration(of.queue),
            compute_input=_duration(of.input),
            compute_infer=_duration(of.infer),
            compute_output=_duration(of.output),
        ),
        batch_stats=[_batch(size, *times) for size, times in sorted(of.batches.items())],
    )


def _duration(times: Times) -> oip.StatisticDuration:
    return oip.StatisticDuration(count=times.count, ns=times.ns)


def _batch(size: int, count: int, input_ns: int, infer_ns: int, output_ns: int) -> oip.InferBatchStatistics:
    return oip.InferBatchStatistics(
        batch_size=size,
        compute_input=oip.StatisticDuration(count=count, ns=input_ns),
        compute_infer=oip.StatisticDuration(count=count, ns=infer_ns),
        compute_output=oip.StatisticDuration(count=count, ns=output_ns),
    )
