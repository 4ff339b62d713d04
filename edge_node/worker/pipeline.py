"""One pipeline: frames of a source through a session to observations, in two stages.

The *taker* reads and prepares the next frame while the *lanes* (one per instance of the session) infer, so that
preprocessing costs no throughput. Between them is a place for one prepared frame. A taker that finds it occupied
waits, and asks the source for a frame only when it is free again: so frames are dropped at the source, before they
cost anything, and nothing queues.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from edge_node.capture.client import CapturedFrame, FrameClient
from edge_node.capture.connecting import Connect, connect_to
from edge_node.errors import NearfieldError
from edge_node.pipeline.inputs import Prepared
from edge_node.pipeline.observation import Observation
from edge_node.worker.handoff import Handoff, Turns
from edge_node.worker.messages import PipelineRun, PipelineStatus
from edge_node.worker.sessions import Binding
from edge_node.worker.taking import Taking
from protos.result import Frame, LatencyMs

_TAKE_TIMEOUT_S = 0.5
_FIRST_ANSWER_S = 1.0
"""how long a switch waits for the new session's first answer, to say how long the gap was"""
_NANO = 1e9
PROCESSOR = "cpu"


@dataclass(frozen=True)
class _Work:
    """A prepared frame on its way to a lane. Times are of `time.perf_counter`."""

    number: int
    begins_stream: bool
    captured_ns: int
    stream_time_s: float | None
    frame: Frame
    binding: Binding
    prepared: Prepared
    waited_s: float
    prepare_s: float
    ready_at: float


class Pipeline:
    """A running pipeline. `emit` is called on the lanes' threads, in the order of the frames."""

    def __init__(
        self, run: PipelineRun, binding: Binding, emit: Callable[[Observation], None], connect: Connect = connect_to
    ) -> None:
        self.run = run
        self._binding = binding
        self._emit = emit
        self._frames = FrameClient(run.source, connect, pipeline=run.name, watching=run.shadow is not None)
        self._taking = Taking(run)
        self._handoff: Handoff[_Work] = Handoff()
        self._turns = Turns()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._answered_at: float | None = None
        self._gap_ms: float | None = None
        self._busy_since: dict[int, float] = {}
        self._elsewhere_s = 0.0
        self._inferred = self._failed = self._failing = self._errors = 0
        self._error = ""
        self._newest_s = 0.0
        self._lanes = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the taker and the lanes."""
        self._thread(self._take_all, f"{self.run.name}-take")
        self._open_lanes(self._binding.lanes)

    def switch(self, run: PipelineRun, binding: Binding) -> float:
        """Prepare the following frames for another session, and wait until the old one has answered its last.

        Returns:
            Milliseconds from the old session's last answer to the new one's first; 0 where no frame came for it.
        """
        with self._lock:
            old, self._binding = self._binding, binding
            self.run = run
            self._taking = Taking(run)
            self._gap_ms = None
            self._failing = self._errors = 0
        self._open_lanes(binding.lanes)
        old.drain()
        with self._answered:
            self._answered.wait_for(lambda: self._gap_ms is not None, _FIRST_ANSWER_S)
        return self._gap()

    def _gap(self) -> float:
        return 0.0 if self._gap_ms is None else self._gap_ms

    def stop(self) -> None:
        """Finish the frames in work and end the threads."""
        self._stopping.set()
        self._frames.interrupt()
        for thread in self._threads:
            thread.join()

    def status(self) -> PipelineStatus:
        """Counters since the start, and how long the inference in work has been running."""
        now = time.perf_counter()
        with self._lock:
            busy_ms = max(((now - since) * 1e3 for since in self._busy_since.values()), default=0.0)
            return PipelineStatus(
                name=self.run.name,
                session=self._binding.key,
                inferred=self._inferred,
                dropped=self._frames.dropped,
                failed=self._failed,
                ingress_bytes=self._frames.ingress_bytes,
                busy_ms=busy_ms,
                source_state=self._frames.state,
                error=self._error,
                failing=self._failing,
                errors=self._errors,
            )

    def _open_lanes(self, lanes: int) -> None:
        for lane in range(self._lanes, lanes):
            self._thread(partial(self._infer_all, lane), f"{self.run.name}-{lane}")
        self._lanes = max(self._lanes, lanes)

    def _thread(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _take_all(self) -> None:
        number = 0
        with self._frames:
            while not self._stopping.is_set():
                frame = self._frames.next(_TAKE_TIMEOUT_S)
                work = None if frame is None else self._prepare(frame, number)
                if work is not None:
                    self._handoff.put(work)
                    number += 1
        self._handoff.close()

    def _prepare(self, frame: CapturedFrame, number: int) -> _Work | None:
        """The frame, ready for a lane; None where the pipeline passes over it, or it cannot be prepared."""
        with self._lock:
            spent_s = time.process_time() + self._elsewhere_s
            if not self._taking.takes(_time_s(frame), frame.captured_ns, time.monotonic(), spent_s):
                return None
            binding = self._binding
            binding.begin()
        begins_stream = _time_s(frame) < self._newest_s
        self._newest_s = _time_s(frame)
        waited_s = max(0.0, (time.time_ns() - frame.captured_ns) / _NANO)
        begun = time.perf_counter()
        try:
            prepared = binding.runner.prepare(frame.rgb)
        except Exception as error:  # noqa: BLE001 - one frame's failure is counted and reported, whatever it is
            self._count_failure(error, binding)
            binding.end()
            return None
        ready = time.perf_counter()
        if not self._frames.intact(frame):
            binding.end()
            return None
        height, width, _ = frame.rgb.shape
        return _Work(
            number=number,
            begins_stream=begins_stream,
            captured_ns=frame.captured_ns,
            stream_time_s=frame.stream_time_s,
            frame=Frame(width, height),
            binding=binding,
            prepared=prepared,
            waited_s=waited_s,
            prepare_s=ready - begun,
            ready_at=ready,
        )

    def _infer_all(self, lane: int) -> None:
        while (work := self._handoff.take()) is not None:
            try:
                self._answer(work, lane)
            finally:
                work.binding.end()

    def _answer(self, work: _Work, lane: int) -> None:
        observation = self._observe(work, lane)
        with self._turns.turn(work.number):
            if observation is not None:
                self._emit(observation)
                self._count_answer(work.binding)

    def _observe(self, work: _Work, lane: int) -> Observation | None:
        try:
            with work.binding.instance(lane) as runner:
                if work.begins_stream:
                    runner.reset()
                begun = self._busy_since[lane] = time.perf_counter()
                outputs = runner.infer(work.prepared)
                inferred = time.perf_counter()
                if runner.session.accelerator != PROCESSOR:
                    self._elsewhere_s += inferred - begun  # a budget is of the accelerator's time, too
            results = runner.interpret(work.prepared, outputs)
        except Exception as error:  # noqa: BLE001 - one frame's failure is counted and reported, whatever it is
            self._count_failure(error, work.binding)
            return None
        finally:
            with self._lock:
                self._busy_since.pop(lane, None)
        latency = LatencyMs(
            queue=_ms(work.waited_s + begun - work.ready_at),
            preprocess=_ms(work.prepare_s),
            infer=_ms(inferred - begun),
            postprocess=_ms(time.perf_counter() - inferred),
        )
        return Observation(
            pipeline=self.run.name,
            session=work.binding.key,
            captured_ns=work.captured_ns,
            latency_ms=latency,
            task=work.binding.task,
            outputs=tuple(msgspec.to_builtins(results)),
            stream_time_s=work.stream_time_s,
            frame=work.frame,
        )

    def _count_answer(self, binding: Binding) -> None:
        with self._answered:
            self._inferred += 1
            self._failing = 0
            now = time.perf_counter()
            if binding is self._binding and self._gap_ms is None:
                self._gap_ms = 0.0 if self._answered_at is None else (now - self._answered_at) * 1e3
            self._answered_at = now
            self._answered.notify_all()

    def _count_failure(self, error: Exception, binding: Binding) -> None:
        text = str(error).splitlines()[0] if str(error) else "no reason given"
        with self._lock:
            self._failed += 1
            if binding is not self._binding:
                return  # the last frames of the session before are no news of this one
            self._failing += 1
            self._errors += 1
            self._error = text if isinstance(error, NearfieldError) else f"{type(error).__name__}: {text}"


def _ms(seconds: float) -> float:
    """Milliseconds, to the microsecond: what is beyond is noise that would travel with every result."""
    return round(seconds * 1e3, 3)


def _time_s(frame: CapturedFrame) -> float:
    """What a pipeline's fps counts by: the stream's own time where it has one."""
    return frame.captured_ns / _NANO if frame.stream_time_s is None else frame.stream_time_s
