"""The agent's handle on a worker process: isolation "process". See `messages.Worker`.

Proving goes to whichever worker is asked. A caller that does not trust a model starts a worker for the proof alone
and closes it afterwards, so that a model which crashes takes nothing else with it.
"""

import asyncio
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from edge_node.engine.compiled import Job
from edge_node.engine.proof import VariantProof
from edge_node.errors import WorkerFailed
from edge_node.framing import next_body, pack
from edge_node.numbered import Requests
from edge_node.pipeline.observation import Observation
from edge_node.rungs import Rung
from edge_node.sandbox.confinement import Confinement
from edge_node.telemetry.system import own_memory_kb
from edge_node.worker.doorkeeper import Doorkeeper
from edge_node.worker.framing import reply_in
from edge_node.worker.ladders import Ladders, patience_of
from edge_node.worker.liveness import Limits, Pending, death, doing, hang, overgrown
from edge_node.worker.messages import (
    NOTHING_KNOWN,
    CloseLane,
    Done,
    Failed,
    LaneOptions,
    Load,
    Observed,
    OpenLane,
    PipelineRun,
    Prove,
    Reply,
    Request,
    Start,
    Status,
    Stop,
    Switch,
    Unload,
)

_CLOSE_S = 2.0
_WATCH_S = 0.5
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Numpy starts no threads of its own (the engine's are its sessions'), and threads share their heaps."""


class ProcessWorker:
    """A worker in a process of its own, confined and watched: one that hangs or grows too large is killed.

    It reads no models but those below the `readable` of its confinement.
    """

    def __init__(self, confinement: Confinement, limits: Limits | None = None, ladders: Ladders | None = None) -> None:
        self.status: Status | None = None
        self.on_observed: Callable[[Sequence[Observation]], None] = lambda _: None
        self.on_status: Callable[[Status], None] = lambda _: None
        self.on_exit: Callable[[str], None] = lambda _: None
        self.pid: int | None = None
        self._confinement = confinement
        self._limits = replace(limits or Limits(), memory_mb=confinement.memory_mb)
        self._doorkeeper = Doorkeeper()
        self._requests: Requests[Pending, Done] = Requests()
        self._running: dict[str, str] = {}
        self._serving: set[str] = set()
        self._ladders = ladders or Ladders()
        self._loads: dict[str, Load] = {}
        self._making: set[asyncio.Task[bool]] = set()
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_s = 0.0
        self._killed_for: str | None = None
        self._ended: str | None = None

    async def start_worker(self) -> None:
        """Spawn the process.

        Raises:
            WorkerFailed: no process can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs, self._doorkeeper.open() as door:
            try:
                self._process = await _spawn(theirs.fileno(), door.fileno(), self._confinement)
            except OSError as error:
                ours.close()
                self._doorkeeper.close()
                raise WorkerFailed(f"no worker process can be started: {error.strerror}") from None
        self.pid = self._process.pid
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._heard_s = time.monotonic()
        self._tasks = [
            asyncio.create_task(self._listen(reader, self._process), name="worker listen"),
            asyncio.create_task(self._watch(self._process), name="worker watch"),
        ]

    async def prove(
        self, bundle: Path, variant: str | None, threads: int, *, again: bool = False, rung: Rung | None = None
    ) -> tuple[VariantProof, ...]:
        """Proofs of the variants that can or cannot run here; `again`: measured only."""
        return (await self._ask(Prove(self._requests.number(), str(bundle), variant, threads, again, rung))).proofs

    async def load(
        self,
        session: str,
        bundle: Path,
        variant: str,
        threads: int,
        instances: int,
        rungs: tuple[Rung, ...] = (),
        loads_ms: Mapping[str, float] = NOTHING_KNOWN,
    ) -> float:
        """Load and warm, on the best of the rungs that has not fallen; milliseconds that it took."""
        ladder, forms = self._ladders.of(str(bundle), variant, rungs), self._ladders.forms
        model = bundle / variant
        key = None if forms is None or not rungs else await forms.key(model, rungs[0], threads)
        form = None if forms is None or key is None else forms.find(key)
        patience_s = patience_of(ladder, loads_ms, instances)
        request = Load(
            self._requests.number(), session, str(bundle), variant, threads, instances, ladder, patience_s=patience_s
        )
        if form is not None:
            request = msgspec.structs.replace(request, compiled=str(form.path), digest=form.digest)
        self._loads[session] = request
        done = await self._ask(request)
        if forms is not None and key is not None and (form is None or done.spoiled):
            if done.spoiled:
                forms.throw_away(key)
            job = Job(str(model), rungs[0], threads)
            making = asyncio.create_task(forms.make(key, job, self._confinement), name="compiled form")
            self._making.add(making)
            making.add_done_callback(self._making.discard)
        return done.elapsed_ms

    async def unload(self, session: str) -> None:
        """Close a session."""
        await self._ask(Unload(self._requests.number(), session))
        self._loads.pop(session, None)
        self._serving.discard(session)

    async def start(self, run: PipelineRun) -> None:
        """Start a pipeline."""
        self._doorkeeper.sources.add(run.source)
        await self._ask(Start(self._requests.number(), run))
        self._running[run.name] = run.session

    async def switch(self, run: PipelineRun) -> float:
        """Move a pipeline to another session; milliseconds between the answers of the two, 0 where no frame came."""
        self._doorkeeper.sources.add(run.source)
        done = await self._ask(Switch(self._requests.number(), run))
        self._running[run.name] = run.session
        return done.elapsed_ms

    async def stop(self, pipeline: str) -> None:
        """Stop a pipeline."""
        await self._ask(Stop(self._requests.number(), pipeline))
        self._running.pop(pipeline, None)

    async def open_lane(self, session: str, lane: str, options: LaneOptions) -> None:
        """Let a session answer on a lane of the serving process that listens at the path `lane`."""
        self._doorkeeper.sources.add(lane)
        await self._ask(OpenLane(self._requests.number(), session, lane, options))
        self._serving.add(session)

    async def close_lane(self, session: str) -> None:
        """Hang up a session's lane."""
        await self._ask(CloseLane(self._requests.number(), session))
        self._serving.discard(session)

    async def close(self) -> None:
        """Close the socket, which ends the process; kill it where it hangs. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        self._ended = self._ended or "the worker was closed"
        assert self._writer is not None
        self._writer.close()
        try:
            await asyncio.wait_for(process.wait(), _CLOSE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        under_way = (*self._tasks, *self._making)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._doorkeeper.close()
        self._fail_waiting(self._ended)

    async def _ask(self, request: Request) -> Done:
        if self._ended is not None or self._writer is None:
            raise WorkerFailed(self._ended or "the worker has not been started")
        writer, pending = self._writer, Pending(request, time.monotonic())
        return await self._requests.answer(request.request, pending, lambda: writer.write(pack(request)))

    async def _listen(self, reader: asyncio.StreamReader, process: Process) -> None:
        try:
            while (body := await next_body(reader.readexactly)) is not None:
                self._hear(reply_in(body))
            self._died(await process.wait())
        finally:
            if self._writer is not None:
                self._writer.close()

    def _hear(self, reply: Reply) -> None:
        self._heard_s = time.monotonic()
        match reply:
            case Observed(observations):
                self.on_observed(observations)
            case Status():
                self.status = reply
                self.on_status(reply)
            case Done(number):
                self._requests.answered(number, reply)
            case Failed(number, reason):
                self._requests.failed(number, WorkerFailed(reason))

    async def _watch(self, process: Process) -> None:
        while self._killed_for is None:
            if process.returncode is not None:
                return
            before_s = time.monotonic()
            await asyncio.sleep(_WATCH_S)
            now_s = time.monotonic()
            if now_s - before_s > 2 * _WATCH_S:
                # We were held up ourselves (a suspended machine): what the worker said meanwhile has not been read.
                self._heard_s = now_s
                continue
            self._killed_for = overgrown(own_memory_kb(process.pid), self._limits) or hang(
                now_s, self._heard_s, self.status, list(self._requests), self._limits
            )
        if process.returncode is None:
            process.kill()

    def _died(self, returncode: int) -> None:
        if self._ended is not None:
            return
        self._ended = death(returncode, self._killed_for, self._running, list(self._requests), sorted(self._serving))
        self._blame_rungs(self._ended)
        self._fail_waiting(self._ended)
        self.on_exit(self._ended)

    def _blame_rungs(self, reason: str) -> None:
        """What it died of: a load that was under way, else whatever was asked of it."""
        loading = {one.request.session for one in self._requests if isinstance(one.request, Load)}
        known = {} if self.status is None else {one.session: one for one in self.status.loaded}
        for session in loading or {*self._running.values(), *self._serving}:
            if session in self._loads:
                self._ladders.died(self._loads[session], known.get(session), reason)

    def _fail_waiting(self, reason: str) -> None:
        def error(pending: Pending) -> WorkerFailed:
            begun = doing(pending.request)
            return WorkerFailed(reason if reason.endswith(begun) else f"{begun}: {reason}")

        self._requests.fail_all(error)


async def _spawn(agent: int, door: int, confinement: Confinement) -> Process:
    told = msgspec.json.encode(confinement).decode()
    return await asyncio.create_subprocess_exec(
        # -P: no modules from the current folder
        *(sys.executable, "-P", "-m", "edge_node.worker", str(agent), str(door), told),
        stdin=DEVNULL,
        stdout=DEVNULL,
        pass_fds=[agent, door],
        env={**_harmless(os.environ), **_ENVIRONMENT},
        start_new_session=True,  # Ctrl-C in a terminal is the agent's to handle
    )


def _harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is told to this program: tokens and passwords come that way."""
    return {name: value for name, value in environment.items() if not name.startswith("NEARFIELD_")}
