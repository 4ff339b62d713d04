"""The sessions of a worker: a variant of a bundle, loaded once or several times, warmed, shared by pipelines.

Each instance is an engine session of its own and runs one inference at a time; several one-thread instances hold
their throughput where one session of several threads collapses under foreign load.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_node.engine.base import Session
from edge_node.engine.catalog import find, for_file
from edge_node.engine.compiled import read_form
from edge_node.engine.ladder import Fall
from edge_node.engine.standing import LadderSession
from edge_node.errors import BadInput, EngineFailed
from edge_node.pipeline.bundle import Bundle, open_variant, read_bundle
from edge_node.pipeline.postprocess import Options
from edge_node.pipeline.runner import Runner
from edge_node.rungs import Rung, SessionStatus
from edge_node.worker.ends import ends_of, example
from edge_node.worker.messages import Load, PipelineRun
from protos.bundle import Manifest

_WARM_RUNS = 2


class LoadedSession:
    """A variant or a model file in memory, `instances` times. A file by itself has no `bundle`: it is only served."""

    def __init__(self, load: Load) -> None:
        """Load and warm.

        Raises:
            BadInput: not a bundle, or the variant cannot run here.
            EngineFailed: it cannot answer its own example.
        """
        self.load = load
        path = Path(load.bundle)
        self.bundle: Bundle | None = None if path.is_file() else read_bundle(path)
        self.spoiled = False
        self.instances: list[tuple[Session, threading.Lock]] = []
        try:
            while len(self.instances) < max(1, load.instances):
                self.instances.append((self._shared() or self._opened(), threading.Lock()))
        except Exception:
            self.close()
            raise

    @property
    def manifest(self) -> Manifest | None:
        """The bundle's."""
        return None if self.bundle is None else self.bundle.manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """The bundle's."""
        return () if self.bundle is None else self.bundle.labels

    def _shared(self) -> Session | None:
        """The first instance's session, where others can run on it: they then share its weights.

        Not with several threads each: a session has one pool of them, whoever runs.
        """
        first = self.instances[0][0] if self.instances else None
        return first if first is not None and first.concurrent and self.load.threads == 1 else None

    def _opened(self) -> Session:
        """One more session, warm."""
        if self.bundle is None:
            return _open_file(Path(self.load.bundle), self.load.threads)
        opening = None if not self.load.ladder.rungs else self._standing
        runner = open_variant(self.bundle, self.load.variant, threads=self.load.threads, open_with=opening)
        try:
            runner.warm()
        except Exception:
            runner.close()
            raise
        return runner.session

    def _standing(self, path: Path) -> Session:
        """A session on the load's ladder."""
        ladder, threads, form = self.load.ladder, self.load.threads, self._compiled()
        now = time.monotonic()
        falls = {one.place: Fall(one.reason, one.attempts, now + one.retry_in_s) for one in ladder.fallen}

        def open_rung(rung: Rung) -> Session:
            compiled = form if rung == ladder.rungs[0] else None
            return find(rung.engine).open(path, threads=threads, rung=rung, compiled=compiled)

        if len(ladder.rungs) == 1:
            return open_rung(ladder.rungs[0])
        return LadderSession(ladder.rungs, open_rung, falls)

    def _compiled(self) -> bytes | None:
        """The compiled form, read once and hashed as it was read; None where there is none that is in order."""
        if not self.load.compiled:
            return None
        form = read_form(Path(self.load.compiled), self.load.digest)
        self.spoiled = form is None
        return form

    def status(self) -> SessionStatus:
        """What it runs on; where its instances stand on different rungs, the lowest."""
        sessions = [session for session, _ in self.instances]
        ladders = [session for session in sessions if isinstance(session, LadderSession)]
        one = next((session for session in ladders if session.fell), sessions[0])
        fell = one.fell if isinstance(one, LadderSession) else ""
        last = all(session.last for session in ladders)
        return SessionStatus(self.load.session, one.engine, one.accelerator, fell, last)

    def close(self) -> None:
        """Close every instance. Idempotent; no pipeline may use it any more."""
        for session, lock in self.instances:
            with lock:
                session.close()


class Binding:
    """A pipeline's use of a session: its own options and, for recurrent models, its own state.

    Counts the frames between `begin` and `end`, so that a switch knows when the last has left.
    """

    def __init__(self, loaded: LoadedSession, run: PipelineRun) -> None:
        """Read the manifest's outputs with the pipeline's options.

        Raises:
            BadInput: they do not fit the model.
        """
        options = Options(top_k=run.top_k, score_threshold=run.score_threshold, threshold=run.threshold)
        bundle = loaded.bundle
        if bundle is None:
            raise BadInput(f"session {run.session} is a model file, which can only be served: pipelines need a bundle")
        self.key = loaded.load.session
        self.task = str(bundle.manifest.task)
        self._locks = [lock for _, lock in loaded.instances]
        self._runners = [Runner(session, bundle.manifest, bundle.labels, options) for session, _ in loaded.instances]
        if self._runners[0].recurrent:
            # One stream, one state: its frames go through one instance, in order.
            del self._runners[1:]
        self._inside = 0
        self._changed = threading.Condition()

    @property
    def runner(self) -> Runner:
        """For `prepare` and `interpret`, which hold no state."""
        return self._runners[0]

    @contextmanager
    def instance(self, lane: int) -> Iterator[Runner]:
        """The instance that a lane of the pipeline infers on, for this caller alone."""
        index = lane % len(self._runners)
        with self._locks[index]:
            yield self._runners[index]

    @property
    def lanes(self) -> int:
        """How many frames can be in work at the same time."""
        return len(self._runners)

    def begin(self) -> None:
        """A frame is being prepared for this session."""
        with self._changed:
            self._inside += 1

    def end(self) -> None:
        """A frame has its answer, or failed."""
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until no frame is inside."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside == 0)


class Sessions:
    """The loaded sessions by key."""

    def __init__(self) -> None:
        self._loaded: dict[str, LoadedSession] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """What is loaded."""
        return tuple(self._loaded)

    def status(self) -> tuple[SessionStatus, ...]:
        """What each runs on."""
        return tuple(loaded.status() for loaded in list(self._loaded.values()))

    def load(self, load: Load) -> bool:
        """Load and warm; loading the same again does nothing. Whether the compiled form was spoiled.

        Raises:
            BadInput, EngineFailed: see `LoadedSession`; or the key is taken by something else.
        """
        present = self._loaded.get(load.session)
        if present is None:
            present = self._loaded[load.session] = LoadedSession(load)
        elif _what(present.load) != _what(load):
            raise BadInput(f"session {load.session} holds {present.load.variant} already: unload it first")
        return present.spoiled

    def loaded(self, key: str) -> LoadedSession:
        """A session to be served.

        Raises:
            BadInput: it is not loaded.
        """
        if key not in self._loaded:
            raise BadInput(f"session {key} is not loaded: load it first")
        return self._loaded[key]

    def unload(self, key: str) -> None:
        """Close a session; one that is not loaded is fine."""
        loaded = self._loaded.pop(key, None)
        if loaded is not None:
            loaded.close()

    def bind(self, run: PipelineRun) -> Binding:
        """A pipeline's use of its session.

        Raises:
            BadInput: it is not loaded, or the pipeline's options do not fit.
        """
        if run.session not in self._loaded:
            raise BadInput(f"pipeline {run.name}: session {run.session} is not loaded: load it first")
        return Binding(self._loaded[run.session], run)

    def close(self) -> None:
        """Close them all."""
        for key in self.keys:
            self.unload(key)


def _open_file(path: Path, threads: int) -> Session:
    """A model file's session, warm. Zeros need not fit open axes: then it warms at its first ask.

    Raises:
        BadInput: no model, or no engine for it here.
        EngineFailed: it cannot answer zeros of its own shapes.
    """
    session = for_file(path).open(path, threads=threads, strings=True)
    ends = ends_of(session.inputs, session.outputs, None)
    try:
        for _ in range(_WARM_RUNS):
            session.run(example(ends, 1))
    except EngineFailed:
        if all(None not in spec.shape for spec in session.inputs):
            session.close()
            raise
    return session


def _what(load: Load) -> tuple[object, ...]:
    return load.bundle, load.variant, load.threads, load.instances, load.ladder.rungs
