"""What a worker does: carries out requests one after another on its sessions and pipelines.

The same object runs behind a socket in a process of its own (`process`) or in threads of the agent (`inline`).
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

from edge_node.capture.connecting import Connect, connect_to
from edge_node.errors import BadInput, NearfieldError, Unreachable
from edge_node.pipeline.bundle import read_bundle
from edge_node.pipeline.observation import Observation
from edge_node.sandbox.confinement import THREADS, Confined
from edge_node.telemetry.system import pss_kb
from edge_node.worker import messages
from edge_node.worker.lane import Lane
from edge_node.worker.messages import Done, Failed, OpenLane, PipelineRun, Request, Status
from edge_node.worker.pipeline import Pipeline
from edge_node.worker.sessions import Sessions


class Runtime:
    """Sessions and pipelines. `handle` is for one thread; `emit` is called on the threads of the pipelines."""

    def __init__(
        self, emit: Callable[[Observation], None], connect: Connect = connect_to, confined: Confined | None = None
    ) -> None:
        """`connect` reaches the captures; `confined` is how this process is held, as the status tells it."""
        self._emit = emit
        self._connect = connect
        self._sandbox = THREADS if confined is None else confined.text
        self._sessions = Sessions()
        self._pipelines: dict[str, Pipeline] = {}
        self._lanes: dict[str, Lane] = {}

    def handle(self, request: Request) -> Done | Failed:
        """Carry out a request. Whatever goes wrong is the answer, so that the worker lives on."""
        try:
            return self._carry_out(request)
        except NearfieldError as error:
            return Failed(request.request, str(error))
        except Exception as error:  # noqa: BLE001 - an engine may raise anything; the agent has to hear of it
            return Failed(request.request, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")

    def status(self) -> Status:
        """What the pipelines and lanes do now."""
        pipelines = tuple(pipeline.status() for pipeline in list(self._pipelines.values()))
        lanes = tuple(lane.status() for lane in list(self._lanes.values()))
        held = self._sessions.status()
        return Status(pipelines, self._sessions.keys, pss_kb() or 0, self._sandbox, lanes, held)

    def close(self) -> None:
        """Drain the pipelines, hang up the lanes and close the sessions."""
        for session in list(self._lanes):
            self._close_lane(session)
        for name in list(self._pipelines):
            self._stop(name)
        self._sessions.close()

    def _carry_out(self, request: Request) -> Done:
        match request:
            case messages.Prove(number, bundle, variant, threads, again, rung):
                from edge_node.pipeline.prove import prove

                found = read_bundle(Path(bundle))
                return Done(number, proofs=prove(found, variant=variant, threads=threads, again=again, rung=rung))
            case messages.Load(number):
                begun = time.perf_counter()
                spoiled = self._sessions.load(request)
                _give_back_memory()
                return Done(number, elapsed_ms=(time.perf_counter() - begun) * 1e3, spoiled=spoiled)
            case messages.Unload(number, session):
                self._unload(session)
                return Done(number)
            case messages.Start(number, run):
                self._start(run)
                return Done(number)
            case messages.Switch(number, run):
                return Done(number, elapsed_ms=self._switch(run))
            case messages.Stop(number, name):
                self._stop(name)
                return Done(number)
            case messages.OpenLane(number):
                self._open_lane(request)
                return Done(number)
            case messages.CloseLane(number, session):
                self._close_lane(session)
                return Done(number)

    def _unload(self, session: str) -> None:
        users = [pipeline.run.name for pipeline in self._pipelines.values() if pipeline.run.session == session]
        if users:
            raise BadInput(f"session {session} is in use by {', '.join(users)}: stop or switch it first")
        self._close_lane(session)
        self._sessions.unload(session)

    def _start(self, run: PipelineRun) -> None:
        """Start a pipeline; one that runs like this already is left alone."""
        running = self._pipelines.get(run.name)
        if running is not None and running.run == run:
            return
        if running is not None:
            raise BadInput(f"pipeline {run.name} runs already on session {running.run.session}: switch or stop it")
        pipeline = Pipeline(run, self._sessions.bind(run), self._emit, self._connect)
        self._pipelines[run.name] = pipeline
        pipeline.start()

    def _switch(self, run: PipelineRun) -> float:
        """Move a pipeline; to another source only by starting it anew, for there is no frame in between.

        So a shadow, too: its frames are another pipeline's.
        """
        pipeline = self._pipelines.get(run.name)
        if pipeline is None:
            raise BadInput(f"pipeline {run.name} does not run: start it")
        if pipeline.run == run:
            return 0.0
        binding = self._sessions.bind(run)
        if pipeline.run.source == run.source and run.shadow is None:
            return pipeline.switch(run, binding)
        begun = time.perf_counter()
        self._stop(run.name)
        self._start(run)
        return (time.perf_counter() - begun) * 1e3

    def _open_lane(self, opened: OpenLane) -> None:
        loaded = self._sessions.loaded(opened.session)
        lane = Lane(loaded, opened.options)
        self._close_lane(opened.session)
        connection = self._connect(opened.lane)
        if connection is None:
            raise Unreachable(f"the serving process takes no lane at {opened.lane}")
        lane.open(connection)
        self._lanes[opened.session] = lane

    def _close_lane(self, session: str) -> None:
        lane = self._lanes.pop(session, None)
        if lane is not None:
            lane.close()

    def _stop(self, name: str) -> None:
        pipeline = self._pipelines.pop(name, None)
        if pipeline is not None:
            pipeline.stop()


def _give_back_memory() -> None:
    """What loading used for a moment, megabytes of it, stays in the C library's heap unless it is told so."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
