"""A session's lane in its worker: says hello with the model's ports, then a thread per instance answers batches."""

import socket
import threading
import time
from functools import partial

import msgspec
import numpy as np

from edge_node.engine.base import Session
from edge_node.errors import NearfieldError
from edge_node.lane.messages import Hello, Port
from edge_node.lane.worker_end import WorkerEnd, open_lane
from edge_node.worker.batch import Answering
from edge_node.worker.ends import Ends, ends_of, example
from edge_node.worker.joining import Axes, padded_axes
from edge_node.worker.messages import LaneOptions, LaneStatus
from edge_node.worker.sequences import Sequences
from edge_node.worker.sessions import LoadedSession
from protos.evidence import summed


class Lane:
    """A lane that answers, once it is open, until either side ends it."""

    def __init__(self, loaded: LoadedSession, options: LaneOptions) -> None:
        """Say what clients fill and get.

        Raises:
            BadInput: the manifest does not fit the model.
        """
        self.session = loaded.load.session
        native = loaded.instances[0][0]
        self._loaded = loaded
        self._options = options
        declared = () if loaded.manifest is None else loaded.manifest.padded
        self._padded = padded_axes((*native.inputs, *native.outputs), (*options.padded, *declared))
        self._ends = ends_of(native.inputs, native.outputs, loaded.manifest, options.states)
        self._end: WorkerEnd | None = None
        self._answering: list[Answering] = []
        self._threads: list[threading.Thread] = []

    def open(self, connection: socket.socket) -> None:
        """Open the lane and start to answer; the connection becomes the lane's.

        Raises:
            Unreachable: the serving process does not grant the lane.
        """
        ends, options = self._ends, self._options
        recurrent = bool(ends.states)
        instances = self._loaded.instances[:1] if recurrent else self._loaded.instances
        sequences = Sequences(ends.zeros, options.sequence_idle_s, options.sequences) if recurrent else None
        self._answering = [
            Answering(ends, one, sequences, padded=self._padded, check=options.check_values) for one in instances
        ]
        self._end = open_lane(connection, self._hello(len(instances)))
        self._threads = [
            threading.Thread(target=partial(_answer_all, self._end, one), name=f"{self.session}-{at}", daemon=True)
            for at, one in enumerate(self._answering)
        ]
        for thread in self._threads:
            thread.start()

    def status(self) -> LaneStatus:
        """Counters since the lane was opened, and how long the run under way takes."""
        now = time.monotonic()
        busy_s = max((now - since for one in self._answering if (since := one.busy_since)), default=0.0)
        return LaneStatus(
            session=self.session,
            open=any(thread.is_alive() for thread in self._threads),
            answered=sum(one.answered for one in self._answering),
            failed=sum(one.failed for one in self._answering),
            busy_ms=busy_s * 1e3,
            error=next((one.error for one in self._answering if one.error), ""),
            errors=sum(one.errors for one in self._answering),
            latency=summed(dict(one.latency) for one in self._answering),
        )

    def close(self) -> None:
        """Finish the batches in work, whose answers nobody hears, and end the threads. Idempotent."""
        end, self._end = self._end, None
        if end is None:
            return
        end.hang_up()
        for thread in self._threads:
            thread.join()
        end.close()

    def _hello(self, instances: int) -> Hello:
        ends, options, (session, lock) = self._ends, self._options, self._loaded.instances[0]
        with lock:
            max_batch = options.max_batch if options.max_batch > 1 and _batches(session, ends) else 0
        return Hello(
            session=self.session,
            inputs=tuple(_with_padded(port, self._padded, max_batch) for port in ends.inputs.values()),
            outputs=tuple(ends.outputs.values()),
            engine=session.engine,
            accelerator=session.accelerator,
            instances=instances,
            max_batch=max_batch,
            recurrent=bool(ends.states),
            sequence_idle_s=options.sequence_idle_s if ends.states else 0.0,
            labels=self._loaded.labels if ends.labelled else options.labels,
            labelled=ends.labelled or options.labelled,
        )


def _answer_all(lane: WorkerEnd, answering: Answering) -> None:
    with np.errstate(all="ignore"):  # numbers that clients send may be anything: what is wrong is answered
        while batch := lane.take():
            answering.answer(lane, batch)
            lane.give(batch)


def _batches(session: Session, ends: Ends) -> bool:
    """Whether two samples make two answers: an open first axis alone does not say that it is a batch's."""
    if not ends.open_batch:
        return False
    try:
        outputs = session.run(example(ends, 2))
    except NearfieldError:
        return False
    return all(outputs[name].shape[:1] == (2,) for name in ends.outputs)


def _with_padded(port: Port, padded: Axes, max_batch: int) -> Port:
    """A port that says which of its axes may differ within a batch."""
    axes = padded.get(port.name, ()) if max_batch else ()
    return msgspec.structs.replace(port, padded=tuple(place for place, axis in enumerate(axes) if axis and place))
