"""A worker in threads of the agent: isolation "thread", for devices with little memory. See `messages.Worker`.

There is nothing to kill: a model that crashes or hangs takes the agent with it, which is why this is a choice.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_node.engine.proof import VariantProof
from edge_node.errors import WorkerFailed
from edge_node.pipeline.observation import Observation
from edge_node.rungs import Rung
from edge_node.worker.messages import (
    NOTHING_KNOWN,
    CloseLane,
    Done,
    Failed,
    Ladder,
    LaneOptions,
    Load,
    OpenLane,
    PipelineRun,
    Prove,
    Request,
    Start,
    Status,
    Stop,
    Switch,
    Unload,
)
from edge_node.worker.runtime import Runtime

_STATUS_S = 1.0


class ThreadWorker:
    """A worker in this process."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.status: Status | None = None
        self.on_observed: Callable[[Sequence[Observation]], None] = lambda _: None
        self.on_status: Callable[[Status], None] = lambda _: None
        self.on_exit: Callable[[str], None] = lambda _: None
        self._runtime: Runtime | None = None
        self._requests = ThreadPoolExecutor(1, thread_name_prefix="worker")
        self._telling: asyncio.Task[None] | None = None

    async def start_worker(self) -> None:
        """Start the thread that carries out requests."""
        self._loop = asyncio.get_running_loop()
        self._runtime = Runtime(self._observed)
        self._telling = asyncio.create_task(self._tell_status(self._runtime), name="worker status")

    async def prove(
        self, bundle: Path, variant: str | None, threads: int, *, again: bool = False, rung: Rung | None = None
    ) -> tuple[VariantProof, ...]:
        """Proofs of the variants that can or cannot run here; `again`: measured only."""
        return (await self._ask(Prove(0, str(bundle), variant, threads, again, rung))).proofs

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
        """Load and warm; milliseconds that it took. One that hangs cannot be given up here."""
        del loads_ms
        request = Load(0, session, str(bundle), variant, threads, instances, Ladder(rungs))
        return (await self._ask(request)).elapsed_ms

    async def unload(self, session: str) -> None:
        """Close a session."""
        await self._ask(Unload(0, session))

    async def start(self, run: PipelineRun) -> None:
        """Start a pipeline."""
        await self._ask(Start(0, run))

    async def switch(self, run: PipelineRun) -> float:
        """Move a pipeline to another session; milliseconds between the answers of the two, 0 where no frame came."""
        return (await self._ask(Switch(0, run))).elapsed_ms

    async def stop(self, pipeline: str) -> None:
        """Stop a pipeline."""
        await self._ask(Stop(0, pipeline))

    async def open_lane(self, session: str, lane: str, options: LaneOptions) -> None:
        """Let a session answer on a lane of the serving process that listens at the path `lane`."""
        await self._ask(OpenLane(0, session, lane, options))

    async def close_lane(self, session: str) -> None:
        """Hang up a session's lane."""
        await self._ask(CloseLane(0, session))

    async def close(self) -> None:
        """Drain the pipelines and close the sessions. Idempotent."""
        runtime, self._runtime = self._runtime, None
        if runtime is None or self._telling is None:
            return
        self._telling.cancel()
        await asyncio.gather(self._telling, return_exceptions=True)
        await self._loop.run_in_executor(self._requests, runtime.close)
        self._requests.shutdown()

    async def _ask(self, request: Request) -> Done:
        if self._runtime is None:
            raise WorkerFailed("the worker has not been started")
        reply = await self._loop.run_in_executor(self._requests, self._runtime.handle, request)
        if isinstance(reply, Failed):
            raise WorkerFailed(reply.reason)
        return reply

    def _observed(self, observation: Observation) -> None:
        self._loop.call_soon_threadsafe(self._deliver, observation)

    def _deliver(self, observation: Observation) -> None:
        self.on_observed((observation,))

    async def _tell_status(self, runtime: Runtime) -> None:
        while True:
            self.status = runtime.status()
            self.on_status(self.status)
            await asyncio.sleep(_STATUS_S)
