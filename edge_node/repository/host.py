"""Serves models from files: one worker, one serving process, and for each model the next step until it is as wanted.

    host = Host(models, parts)
    await host.open()                    # both processes
    await host.run()                     # for ever: loads, offers, starts again what died

Nothing here decides what comes next (`plan`), when a process is started again (`backoff`), or what is on the disk
(`found`). What a client's load and unload change is what is wanted; the loop does the rest.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import msgspec

from edge_node.errors import BadInput, NearfieldError
from edge_node.repository.backoff import wait_s
from edge_node.repository.effects import Effects, Parts, Processes, session_key
from edge_node.repository.life import Life
from edge_node.repository.models import Copy, Model, Models
from edge_node.repository.plan import Failure, Held, Step, complaint, is_ready, next_step, retry_at, states
from edge_node.serving.client import ServingFailed, ServingProcess
from edge_node.serving.control import Listening, ModelState
from edge_node.worker.messages import Status, Worker

LOOK_S = 1.0
"""How often it is looked whether a lane was lost of which nobody heard, or a file came."""

log = logging.getLogger(__name__)


class Host:
    """The host of some models. `on_failed` hears of each that cannot be served, and why."""

    def __init__(self, models: Models, parts: Parts) -> None:
        self.models = models
        self.effects = Effects(parts)
        self.listening: Listening | None = None
        self.on_failed: Callable[[str, str], None] = lambda *_: None
        self._parts = parts
        self._worker: Life[Worker] = Life(self._start_worker)
        self._serving: Life[ServingProcess] = Life(self._start_serving)
        self._dead: list[Worker | ServingProcess] = []
        self._looked_once = False
        self._notice_at = 0.0
        self._outdated: Status | None = None
        """the worker's status from before the last offer: it knows nothing of the newest lanes"""
        self._changed = asyncio.Event()
        self._settled = asyncio.Condition()

    async def open(self) -> None:
        """Start both processes; the worker loads while the other one starts.

        Raises:
            ServingFailed: a port is taken, or the process cannot be started.
            WorkerFailed: no worker can be started.
        """
        begun = await asyncio.gather(self._serving.begin(), self._begin_to_load(), return_exceptions=True)
        for failure in begun:
            if failure is not None:
                raise failure

    async def _begin_to_load(self) -> None:
        await self._worker.begin()
        for model in list(self.models.by_name.values()):
            await self._advance(model)

    async def run(self) -> None:
        """Make everything as wanted, until cancelled."""
        while True:
            self._changed.clear()
            await self._notice()
            await self.settle()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sleep_s()):
                    await self._changed.wait()

    async def _notice(self) -> None:
        """Look now and then at what lies in the folders, for the index."""
        if time.monotonic() >= self._notice_at:
            self._notice_at = time.monotonic() + LOOK_S
            await self.models.notice()

    async def settle(self) -> None:
        """Do whatever can be done now."""
        await self._bury()
        self._look_at_lanes()
        self._tell()
        if await self._worker.ensure() is not None and await self._serving.ensure() is not None:
            self._tell()  # a serving process that is new knows of no model
            for model in list(self.models.by_name.values()):
                await self._advance(model)
            self._looked_once = True
        self._tell()
        async with self._settled:
            self._settled.notify_all()

    async def settle_falls(self) -> None:
        """Have models that took their worker with them tried on every rung that they have left."""
        while any(self._may_fall(model.held) for model in self.models.by_name.values()):
            await asyncio.sleep(self._sleep_s())
            await self.settle()

    def _may_fall(self, held: Held) -> bool:
        missing = {one: held.failures[one] for one in held.wanted - held.connected if one in held.failures}
        return any(why.retry_at is not None and why.attempts < self.effects.rungs(one) for one, why in missing.items())

    async def load(self, name: str) -> None:
        """Have a model served as its files are now; returns when it is.

        Raises:
            NearfieldError: there is none, or it cannot be served, one line.
        """
        await self.models.take(name)
        await self._until_settled(name)
        if why := complaint(self.models.by_name[name].held):
            raise BadInput(why)

    async def unload(self, name: str) -> None:
        """Have a model served no more; returns when its last answer has left.

        Raises:
            BadInput: there is none.
        """
        self.models.leave(name)
        await self._until_settled(name)

    async def close(self) -> None:
        """Let what has begun be finished, and end both processes."""
        if self._serving.now is not None:
            await self._serving.now.close()
        if self._worker.now is not None:
            await self._worker.now.close()
        await self._bury()

    async def _until_settled(self, name: str) -> None:
        self._changed.set()
        async with self._settled:
            await self._settled.wait_for(lambda: next_step(self.models.by_name[name].held, time.monotonic()) is None)

    async def _advance(self, model: Model) -> None:
        """Take a model's steps while there are any and both processes live."""
        while (step := next_step(model.held, time.monotonic())) is not None:
            worker, serving = self._worker.now, self._serving.now
            if worker is None or (step.verb != "load" and (serving is None or self.listening is None)):
                return
            log.info("%s %s", step.verb, session_key(step.model, step.generation))
            processes = Processes(worker, serving, self.listening.lanes if self.listening else "")
            apart = self._looked_once and any(one.held.connected for one in self.models.by_name.values())
            try:
                await self.effects.carry_out(step, model, processes, apart=apart)
            except (NearfieldError, OSError) as error:
                self._failed(step, model, error)
            self._outdated = worker.status
            self._tell()
        self.models.tidy(model)

    def _failed(self, step: Step, model: Model, error: Exception) -> None:
        """Remember why; what a process died of is tried again later, a refusal when it is asked for again."""
        reason = _shown(str(error), model.copies[step.generation])
        held, before = model.held, model.held.failures.get(step.generation)
        attempts = 1 if before is None else before.attempts + 1
        died = self._worker.now is None or (step.verb != "load" and self._serving.now is None)
        again = time.monotonic() + wait_s(attempts) if died else None
        model.held = replace(held, failures={**held.failures, step.generation: Failure(reason, attempts, again)})
        self.on_failed(step.model, reason)

    async def _start_worker(self) -> Worker:
        worker = self._parts.new_worker()
        worker.on_exit = lambda reason: self._worker_died(worker, reason)
        try:
            await worker.start_worker()
        except BaseException:
            await worker.close()
            raise
        return worker

    async def _start_serving(self) -> ServingProcess:
        serving = self._parts.new_serving()
        serving.on_load, serving.on_unload = self.load, self.unload
        serving.on_exit = lambda reason: self._serving_died(serving, reason)
        try:
            self.listening = await serving.start()
        except BaseException:
            await serving.close()
            raise
        return serving

    def _worker_died(self, worker: Worker, reason: str) -> None:
        self._dead.append(worker)
        self._worker.died(reason)
        for model in self.models.by_name.values():
            model.held = replace(model.held, loaded=frozenset(), connected=frozenset())
        self._changed.set()

    def _serving_died(self, serving: ServingProcess, reason: str) -> None:
        self._dead.append(serving)
        self._serving.died(reason)
        for model in self.models.by_name.values():
            model.held = replace(model.held, offered=frozenset(), connected=frozenset())
        self._changed.set()

    async def _bury(self) -> None:
        while self._dead:
            await self._dead.pop().close()

    def _look_at_lanes(self) -> None:
        """A lane that the serving process gave up is opened again."""
        worker = self._worker.now
        status = None if worker is None else worker.status
        if status is None or status is self._outdated:
            return
        lost = {lane.session for lane in status.lanes if not lane.open}
        for name, model in self.models.by_name.items():
            over = frozenset(one for one in model.held.connected if session_key(name, one) in lost)
            model.held = replace(model.held, connected=model.held.connected - over)

    def _tell(self) -> None:
        """Tell the serving process what there is, for the index and readiness."""
        held = [model.held for model in self.models.by_name.values()]
        if self._serving.now is not None:
            with suppress(ServingFailed):  # its end is on its way to us
                index = tuple(self._standing(one, state) for one in held for state in states(one))
                self._serving.now.index(index, ready=all(is_ready(one) for one in held))

    def _standing(self, held: Held, state: ModelState) -> ModelState:
        """A version's state with what it runs on."""
        status = None if self._worker.now is None else self._worker.now.status
        keys = {session_key(held.model, one) for one in held.connected if one.version == state.version}
        known = [one for one in (() if status is None else status.loaded) if one.session in keys]
        worst = next((one for one in known if one.fell), known[0] if known else None)
        if worst is None:
            return state
        reason = "; ".join(filter(None, (state.reason, worst.fell)))
        on = f"{worst.engine}/{worst.accelerator}"
        return msgspec.structs.replace(state, reason=reason, on=on, fell=worst.fell)

    def _sleep_s(self) -> float:
        ends = [retry_at(model.held) for model in self.models.by_name.values()]
        ends += [life.retry_at for life in (self._worker, self._serving) if life.now is None]
        now = time.monotonic()
        return min([LOOK_S, *(max(0.0, end - now) for end in ends if end is not None)])


def _shown(reason: str, copy: Copy) -> str:
    """A reason with the person's own path in it, not the copy's."""
    return reason.replace(str(copy.path), str(copy.found.path)).replace(str(copy.folder), str(copy.found.folder))
