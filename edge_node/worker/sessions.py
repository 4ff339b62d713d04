"""The sessions of a worker: a variant of a bundle, loaded once or several times, warmed, shared by pipelines.

Each instance is an engine session of its own and runs one inference at a time; several one-thread instances hold
their throughput where one session of several threads collapses under foreign load.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_node.engine.base import Session
from edge_node.errors import BadInput
from edge_node.pipeline.bundle import Bundle, open_variant, read_bundle
from edge_node.pipeline.postprocess import Options
from edge_node.pipeline.runner import Runner
from edge_node.worker.messages import Load, PipelineRun


class LoadedSession:
    """A variant in memory, `instances` times."""

    def __init__(self, load: Load) -> None:
        """Load and warm.

        Raises:
            BadInput: not a bundle, or the variant cannot run here.
            EngineFailed: it cannot answer its own example.
        """
        self.load = load
        self.bundle: Bundle = read_bundle(Path(load.bundle))
        self.instances: list[tuple[Session, threading.Lock]] = []
        try:
            for _ in range(max(1, load.instances)):
                runner = open_variant(self.bundle, load.variant, threads=load.threads)
                self.instances.append((runner.session, threading.Lock()))
                runner.warm()
        except Exception:
            self.close()
            raise

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

    def load(self, load: Load) -> None:
        """Load and warm; loading the same again does nothing.

        Raises:
            BadInput, EngineFailed: see `LoadedSession`; or the key is taken by something else.
        """
        present = self._loaded.get(load.session)
        if present is None:
            self._loaded[load.session] = LoadedSession(load)
        elif _what(present.load) != _what(load):
            raise BadInput(f"session {load.session} holds {present.load.variant} already: unload it first")

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


def _what(load: Load) -> tuple[object, ...]:
    return load.bundle, load.variant, load.threads, load.instances
