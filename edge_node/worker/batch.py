"""A batch of a lane, answered: its asks become one run of the engine where they go together, and each its own answer.

Whatever goes wrong with an ask is its answer. Which asks are in a batch is the serving process's decision.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.engine.base import Array, Session
from edge_node.errors import BadInput, EngineFailed, NearfieldError
from edge_node.lane.messages import Answer, Ask, Failure, Tensor
from edge_node.lane.slot import REASON_CHARACTERS, DoesNotFit, end_of, places, read_ask, write
from edge_node.lane.worker_end import WorkerEnd
from edge_node.worker.arrays import check_values, packed_texts, put, view
from edge_node.worker.ends import Ends
from edge_node.worker.joining import Axes, cut_back, groups, joined
from edge_node.worker.sequences import Sequences, TooManySequences
from protos.evidence import bucket_of

_NANO = 1e9


@dataclass(slots=True)
class _Work:
    """An ask that can be run; `start` and `end` are its part of the joined batch."""

    slot: memoryview
    ask: Ask
    feeds: Mapping[str, Array]
    start: int = 0
    end: int = 0


class Answering:
    """What one thread of a lane answers with: an instance of the session, for this caller alone while it holds `lock`.

    `busy_since` is when the run under way began, of `time.monotonic`; 0 where none is.
    """

    def __init__(
        self,
        ends: Ends,
        instance: tuple[Session, threading.Lock],
        sequences: Sequences | None,
        *,
        padded: Axes,
        check: bool,
    ) -> None:
        """`padded` names the axes of tensors that may be padded; `check`: values of inputs are looked at."""
        self.answered = self.failed = self.errors = 0
        self.latency: dict[int, int] = {}
        """answers by the bucket of what they took here"""
        self.error = ""
        self.busy_since = 0.0
        self._ends = ends
        self._session, self._lock = instance
        self._sequences = sequences
        self._axes = padded
        self._check = check

    def answer(self, lane: WorkerEnd, batch: Sequence[int]) -> None:
        """Put an answer into each slot of a batch."""
        begun_ns = time.monotonic_ns()
        works = []
        for number in batch:
            work = self._read(lane, lane.slot(number), begun_ns)
            if work is not None:
                works.append(work)
        for group in self._groups(works):
            self._run(lane, group, begun_ns)

    def _groups(self, works: list[_Work]) -> list[list[_Work]]:
        if len(works) < 2:
            return [works] if works else []
        if self._sequences is not None:
            return [[work] for work in works]
        return [[works[at] for at in group] for group in groups([work.feeds for work in works], self._axes)]

    def _read(self, lane: WorkerEnd, slot: memoryview, now_ns: int) -> _Work | None:
        try:
            ask = read_ask(slot)
            if ask.deadline_ns and ask.deadline_ns <= now_ns:
                self._fail(lane, slot, "deadline", "its time was over before the work began")
                return None
            return _Work(slot, ask, self._feeds(slot, ask))
        except Exception as error:  # noqa: BLE001 - one ask's failure is its answer, whatever it is
            self._fail(lane, slot, *_failure(error))
            return None

    def _feeds(self, slot: memoryview, ask: Ask) -> dict[str, Array]:
        feeds = {}
        for tensor in ask.tensors:
            port = self._ends.inputs.get(tensor.name)
            if port is None:
                raise BadInput(f"no input {tensor.name!r}: the inputs are {', '.join(self._ends.inputs)}")
            feeds[tensor.name] = array = view(slot, tensor)
            if self._check:
                check_values(array, port, finite=ask.finite)
        if len(feeds) != len(self._ends.inputs):
            missing = next(name for name in self._ends.inputs if name not in feeds)
            raise BadInput(f"the input {missing!r} is missing")
        return feeds

    def _run(self, lane: WorkerEnd, group: list[_Work], begun_ns: int) -> None:
        try:
            self._answer_group(lane, group, begun_ns)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything; the asker has to hear of it
            if len(group) == 1:
                self._fail(lane, group[0].slot, *_failure(error))
                return
            for work in group:  # one of them spoils it: the others are answered without it
                self._run(lane, [work], begun_ns)

    def _answer_group(self, lane: WorkerEnd, group: list[_Work], begun_ns: int) -> None:
        feeds = joined([work.feeds for work in group], self._axes) if len(group) > 1 else group[0].feeds
        ready_ns = time.monotonic_ns()
        outputs = self._infer(feeds, group[0].ask)
        inferred_ns = time.monotonic_ns()
        size = _number_the_rows(group)
        tensors = [self._put(lane, work, outputs, size if len(group) > 1 else None) for work in group]
        times = ready_ns - begun_ns, inferred_ns - ready_ns, time.monotonic_ns() - inferred_ns
        for work, given in zip(group, tensors, strict=True):
            write(work.slot, lane.head_bytes, Answer(given, "", "", *times, size))
        self.answered += len(group)
        bucket = bucket_of((time.monotonic_ns() - begun_ns) / 1e6)
        self.latency[bucket] = self.latency.get(bucket, 0) + len(group)

    def _infer(self, feeds: Mapping[str, Array], ask: Ask) -> dict[str, Array]:
        ends = self._ends
        with self._lock:
            self.busy_since = time.monotonic()
            try:
                if self._sequences is not None:
                    return self._step(self._sequences, feeds, ask)
                return self._session.run({**feeds, **ends.constants} if ends.constants else feeds)
            finally:
                self.busy_since = 0.0

    def _step(self, sequences: Sequences, feeds: Mapping[str, Array], ask: Ask) -> dict[str, Array]:
        state = sequences.state(ask.sequence, time.monotonic())
        outputs = self._session.run({**feeds, **self._ends.constants, **state})
        if ask.sequence is not None:
            moved_on = {name: outputs[source] for name, source in self._ends.states.items()}
            sequences.keep(ask.sequence, moved_on, time.monotonic())
        return outputs

    def _put(self, lane: WorkerEnd, work: _Work, outputs: Mapping[str, Array], rows: int | None) -> tuple[Tensor, ...]:
        """Write an ask's part of the outputs behind its inputs; `rows`: of the joined batch, None for an ask alone."""
        ask, slot = work.ask, work.slot
        start = end_of(ask.tensors, lane.head_bytes)
        tensors = []
        for name in ask.outputs or self._ends.outputs:
            port = self._ends.outputs[name]
            part = outputs[name] if rows is None else _rows(outputs[name], name, work, rows, self._axes)
            texts = packed_texts(part) if port.datatype == "BYTES" else None
            size = part.nbytes if texts is None else len(texts)
            (offset,) = places((size,), start, len(slot))
            if texts is None:
                put(part, port.datatype, slot, offset)
            else:
                slot[offset : offset + size] = texts
            tensors.append(Tensor(name, port.datatype, part.shape, offset, size))
            start = offset + size
        return tuple(tensors)

    def _fail(self, lane: WorkerEnd, slot: memoryview, failure: Failure, reason: str) -> None:
        self.failed += 1
        if failure == "failed":
            self.errors += 1
            self.error = reason
        write(slot, lane.head_bytes, Answer((), failure, reason[:REASON_CHARACTERS]))


def _number_the_rows(group: list[_Work]) -> int:
    """Say which rows of the joined batch are whose; how many there are."""
    start = 0
    for work in group:
        first = next(iter(work.feeds.values()), None)
        work.start, start = start, start + (first.shape[0] if first is not None and first.ndim else 1)
        work.end = start
    return start


def _rows(output: Array, name: str, work: _Work, rows: int, axes: Axes) -> Array:
    if output.shape[:1] != (rows,):
        raise EngineFailed(f"the output {name!r} has the shape {list(output.shape)} for a batch of {rows}")
    return cut_back(output[work.start : work.end], name, work.feeds, axes)


def _failure(error: Exception) -> tuple[Failure, str]:
    """The kind and the line of a failure."""
    text = " ".join(str(error).split())
    match error:
        case BadInput():
            return "invalid", text
        case TooManySequences():
            return "busy", text
        case DoesNotFit():
            return "failed", f"the answer does not fit: {text}"
        case NearfieldError():
            return "failed", text
    return "failed", f"{type(error).__name__}: {text}"
