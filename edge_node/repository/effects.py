"""What each step does to a model: loaded, offered, withdrawn, unloaded. What comes next is decided in `plan`."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_node.repository.models import Copy, Model
from edge_node.repository.offer import Offering, offer, platform_of
from edge_node.repository.plan import Generation, Step
from edge_node.repository.sizing import Sizing
from edge_node.rungs import Rung
from edge_node.serving.client import ServingProcess
from edge_node.serving.control import Timing
from edge_node.worker.giving_way import give_way
from edge_node.worker.messages import Worker


@dataclass(frozen=True)
class Chosen:
    """The variant of a bundle that is to be loaded, empty for a raw file; `rungs` of none: its engine's processor.

    `loads_ms` is what loading took on each rung, by name, when it was proven.
    """

    variant: str = ""
    rungs: tuple[Rung, ...] = ()
    loads_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """What a host is made of.

    `choose` gives the variant of a bundle's copy that is to be loaded, proven; `sizing` says how a model is loaded.
    """

    new_worker: Callable[[], Worker]
    new_serving: Callable[[], ServingProcess]
    choose: Callable[[Copy], Awaitable[Chosen]]
    sizing: Callable[[Copy], Sizing]


@dataclass(frozen=True)
class Processes:
    """The two that steps work on, both alive, or the worker alone where it is to load; `lanes` is how they meet."""

    worker: Worker
    serving: ServingProcess | None
    lanes: str


@dataclass(frozen=True)
class CameToServe:
    """A generation that clients are answered from since just now, and how long that took."""

    model: str
    copy: Copy
    sizing: Sizing
    seconds: float


class Effects:
    """Carries out steps. `on_served` hears of each generation that has come to serve."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        self.on_served: Callable[[CameToServe], None] = lambda _: None
        self._parts = parts
        self._clock = clock
        self._begun: dict[Generation, float] = {}
        self._variants: dict[Generation, Chosen] = {}

    def rungs(self, generation: Generation) -> int:
        """How many rungs a generation can run on; 0: it is not known yet, or it has no ladder."""
        return len(self._variants.get(generation, Chosen()).rungs)

    async def carry_out(self, step: Step, model: Model, processes: Processes, *, apart: bool) -> None:
        """Carry out a step and remember what is held since.

        Args:
            step: of the model.
            model: whose.
            processes: that it works on.
            apart: a model that was never loaded is tried in a worker of its own before: it may crash.

        Raises:
            NearfieldError: it failed, or a process died of it; one line.
        """
        one = frozenset({step.generation})
        match step.verb:
            case "load":
                await self._load(step, model.copies[step.generation], processes.worker, apart=apart)
                model.held = replace(model.held, loaded=model.held.loaded | one)
            case "offer":
                await self._offer(step, model, processes)
            case "withdraw":
                assert processes.serving is not None  # for loading alone
                await processes.serving.withdraw(session_of(step))
                held = model.held
                model.held = replace(held, offered=held.offered - one, connected=held.connected - one)
            case "unload":
                await processes.worker.unload(session_of(step))
                model.held = replace(model.held, loaded=model.held.loaded - one)
                self._variants.pop(step.generation, None)

    async def _load(self, step: Step, copy: Copy, worker: Worker, *, apart: bool) -> None:
        """Choose the variant, load and warm it."""
        self._begun[step.generation] = self._clock()
        known = self._variants.get(step.generation)
        if known is None and copy.found.bundle:
            known = await self._parts.choose(copy)
        elif known is None and apart:
            await self._try_apart(step, copy)
        self._variants[step.generation] = known or Chosen()
        await self._load_into(worker, step, copy)

    async def _try_apart(self, step: Step, copy: Copy) -> None:
        worker = self._parts.new_worker()
        try:
            await worker.start_worker()
            give_way(worker.pid)
            await self._load_into(worker, step, copy)
        finally:
            await worker.close()

    async def _load_into(self, worker: Worker, step: Step, copy: Copy) -> None:
        sizing, chosen = self._parts.sizing(copy), self._variants.get(step.generation, Chosen())
        how = chosen.variant, sizing.threads, sizing.instances, chosen.rungs, chosen.loads_ms
        await worker.load(session_of(step), copy.path, *how)

    async def _offer(self, step: Step, model: Model, processes: Processes) -> None:
        assert processes.serving is not None  # for loading alone
        generation, one = step.generation, frozenset({step.generation})
        copy, before = model.copies[generation], model.held
        sizing = self._parts.sizing(copy)
        offering = Offering(
            model=step.model,
            version=generation.version,
            session=session_of(step),
            platform=platform_of(self._variants.get(generation, Chosen()).variant or copy.path.name),
            batching=sizing.batching,
            labelled="" if copy.found.config.labelled is None else copy.found.config.labelled.output,
            labels=copy.labels,
            states=copy.states,
            sequence_idle_s=copy.found.config.sequence_idle_s,
        )
        known = generation in before.offered
        await offer(processes.serving, processes.worker, processes.lanes, offering, known=known)
        model.held = replace(model.held, offered=model.held.offered | one, connected=model.held.connected | one)
        what: Literal["swap", "cold_start"] = "swap" if before.connected - one else "cold_start"
        now = self._clock()
        took_s = now - self._begun.pop(generation, now)
        processes.serving.timing(Timing(step.model, generation.version, what, took_s))
        self.on_served(CameToServe(step.model, copy, sizing, took_s))


def session_key(model: str, generation: Generation) -> str:
    """What the worker and the serving process call a generation's session."""
    return f"{model}@{generation.version}/{generation.number}"


def session_of(step: Step) -> str:
    """The session that a step works on."""
    return session_key(step.model, step.generation)
