"""A session's lane in its worker: says hello with the model's ports, then a thread per instance answers batches."""

import socket
import threading
import time
from functools import partial

import numpy as np

from edge_node.engine.base import Session
from edge_node.errors import NearfieldError
from edge_node.lane.messages import Hello
from edge_node.lane.worker_end import WorkerEnd, open_lane
from edge_node.worker.batch import Answering
from edge_node.worker.ends import Ends, ends_of, example
from edge_node.worker.joining import Axes
from edge_node.worker.messages import LaneOptions, LaneStatus
from edge_node.worker.sequences import Sequences
from edge_node.worker.sessions import LoadedSession


class Lane:
    """A lane that answers until either side ends it."""

    def __init__(self, loaded: LoadedSession, options: LaneOptions, connection: socket.socket) -> None:
        """Open the lane and start to answer; the connection becomes the lane's.

        Raises:
            BadInput: the manifest does not fit the model.
            Unreachable: the serving process does not grant the lane.
        """
        self.session = loaded.load.session
        native = loaded.instances[0][0]
        ends = ends_of(native.inputs, native.outputs, loaded.manifest)
        recurrent = bool(ends.states)
        instances = loaded.instances[:1] if recurrent else loaded.instances
        padded = _padded(native, options.padded)
        sequences = Sequences(ends.zeros, options.sequence_idle_s, options.sequences) if recurrent else None
        self._answering = [
            Answering(ends, one, sequences, padded=padded, check=options.check_values) for one in instances
        ]
        self._end = open_lane(connection, _hello(loaded, ends, options, len(instances)))
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
        )

    def close(self) -> None:
        """Finish the batches in work, whose answers nobody hears, and end the threads."""
        self._end.hang_up()
        for thread in self._threads:
            thread.join()
        self._end.close()


def _answer_all(lane: WorkerEnd, answering: Answering) -> None:
    with np.errstate(all="ignore"):  # numbers that clients send may be anything: what is wrong is answered
        while batch := lane.take():
            answering.answer(lane, batch)
            lane.give(batch)


def _hello(loaded: LoadedSession, ends: Ends, options: LaneOptions, instances: int) -> Hello:
    session, lock = loaded.instances[0]
    with lock:
        max_batch = options.max_batch if options.max_batch > 1 and _batches(session, ends) else 0
    return Hello(
        session=loaded.load.session,
        inputs=tuple(ends.inputs.values()),
        outputs=tuple(ends.outputs.values()),
        engine=session.engine,
        accelerator=session.accelerator,
        instances=instances,
        max_batch=max_batch,
        recurrent=bool(ends.states),
        sequence_idle_s=options.sequence_idle_s if ends.states else 0.0,
        labels=loaded.labels if ends.labelled else (),
        labelled=ends.labelled,
    )


def _batches(session: Session, ends: Ends) -> bool:
    """Whether two samples make two answers: an open first axis alone does not say that it is a batch's."""
    if not ends.open_batch:
        return False
    try:
        outputs = session.run(example(ends, 2))
    except NearfieldError:
        return False
    return all(outputs[name].shape[:1] == (2,) for name in ends.outputs)


def _padded(session: Session, names: tuple[str, ...]) -> Axes:
    """The axes with these names, by the name of their tensor."""
    specs = (*session.inputs, *session.outputs) if names else ()
    kept = {spec.name: tuple(axis if axis in names else "" for axis in spec.axes) for spec in specs}
    return {tensor: axes for tensor, axes in kept.items() if any(axes)}
