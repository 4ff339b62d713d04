"""The composition root of `edge-node serve`: models from files, a worker, the serving process; no coordinator.

server = FileServer(paths, Asked(), config, telling)      # no I/O
await server.run()                                        # until stop()
"""

import asyncio
import logging
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edge_node.config import NodeConfig
from edge_node.engine.installed import engine_versions
from edge_node.engine.ladder import engines_text, known_rungs, ladder_of, led_by
from edge_node.engine.select import NoChoice, choose
from edge_node.errors import BadInput, WrongUsage
from edge_node.repository.effects import CameToServe, Chosen, Parts
from edge_node.repository.host import Host
from edge_node.repository.models import Copy, Models
from edge_node.repository.opening import opened
from edge_node.repository.own_folder import own_folder
from edge_node.repository.plan import complaint
from edge_node.repository.sizing import Asked, Device, Sizing, sizing_of
from edge_node.repository.tuned import FILE, KeptWay, TunedWays, read_digest
from edge_node.rungs import ALSO, EngineSettings
from edge_node.sandbox.support import support
from edge_node.serving.client import ServingProcess
from edge_node.serving.control import Listening
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.rounds import proven_in_rounds, rungs_for
from edge_node.telemetry import system
from edge_node.worker.forms import Forms
from edge_node.worker.handle import new_worker
from edge_node.worker.ladders import Ladders
from edge_node.worker.messages import Worker
from edge_node.worker.settings import confinement_of, limits_of, reaching, sandbox_text
from protos.bundle import MANIFEST, Variant, parse_manifest
from protos.digest import Digest, digest_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Telling:
    """Who hears of what: a version that serves, a model that cannot, and that the first look at all is over."""

    served: Callable[[CameToServe], None]
    failed: Callable[[str, str], None]
    ready: Callable[[Listening, int, int], None]
    """the addresses, how many models serve, of how many"""


class FileServer:
    """Serves the models of some paths."""

    def __init__(self, paths: tuple[Path, ...], asked: Asked, config: NodeConfig, telling: Telling) -> None:
        self._paths = paths
        self._asked = asked
        self._config = config
        self._telling = telling
        self._stopping = asyncio.Event()
        self._device = Device(system.cores(), system.memory_kb())

    def stop(self) -> None:
        """Have `run` finish what has begun and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            BadInput: a path has no models, two have one name, or none can be served.
            Refused: an address that others reach without TLS or keys, or a sandbox that is required and not there.
            ServingFailed: a port is taken.
        """
        opened(self._config.serving, "", Path(self._config.state_dir))
        log.info("processes that open models: %s", sandbox_text(self._config, support()))
        with own_folder() as folder:
            models = Models(self._paths, folder / "models")
            await models.take_all()
            self._say_unread(models)
            await self._serve(Host(models, self._parts(folder)))

    async def _serve(self, host: Host) -> None:
        host.effects.on_served, host.on_failed = self._telling.served, self._telling.failed
        try:
            await host.open()
            await host.settle()
            await host.settle_falls()
            self._say_ready(host)
            running = asyncio.create_task(host.run(), name="host")
            stopping = asyncio.create_task(self._stopping.wait(), name="stop")
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (running, stopping):
                task.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await _ended(running)
        finally:
            await host.close()

    def _say_unread(self, models: Models) -> None:
        for name, model in models.by_name.items():
            if why := complaint(model.held):
                self._telling.failed(name, why)

    def _say_ready(self, host: Host) -> None:
        models = host.models.by_name.values()
        serving = sum(bool(model.held.connected) for model in models)
        if not serving:
            raise BadInput("no model can be served: see above")
        assert host.listening is not None  # since the host was opened
        self._telling.ready(host.listening, serving, len(models))

    def _parts(self, folder: Path) -> Parts:
        engines, wanted = self._config.engines, self._config.serving
        forms = Forms(cache_folder() / "compiled", engines.cache_mb * 2**20)
        models = confinement_of(self._config.worker, folder / "models", system.memory_kb())
        confinement = reaching(models, engines, forms.folder)
        limits, ladders = limits_of(self._config.worker, engines.hang_s), Ladders(forms)

        def worker() -> Worker:
            return new_worker(self._config.isolation, confinement, limits, ladders)

        def serving() -> ServingProcess:
            return ServingProcess(opened(wanted, str(folder / "lanes"), Path(self._config.state_dir)))

        ways = TunedWays(cache_folder() / FILE).load(system.hardware(), engine_versions())

        @cache
        def tuned(copy: Copy) -> KeptWay | None:
            kept = ways.of(read_digest(copy.found.folder, copy.found.files)) if ways else None
            return kept if kept is None or kept.way.engine not in set(ALSO) - set(engines.also) else None

        def sizing(copy: Copy) -> Sizing:
            return sizing_of(copy.found, self._asked, self._device, tuned(copy))

        return Parts(worker, serving, Proving(worker, sizing, self._asked.variant, engines).chosen, sizing)


class Proving:
    """Chooses the variant of a bundle that serves: proven by its golden vectors, on this device, once."""

    def __init__(
        self,
        worker: Callable[[], Worker],
        sizing: Callable[[Copy], Sizing],
        pin: str | None,
        engines: EngineSettings | None = None,
    ) -> None:
        self._worker = worker
        self._sizing = sizing
        self._pin = pin
        self._engines = engines or EngineSettings()
        self._choices: Choices | None = None

    async def chosen(self, copy: Copy) -> Chosen:
        """The variant's file, and the rungs that it may run on.

        Raises:
            BadInput: none of the bundle's variants agrees with its golden vectors here, or there is no such variant.
            WorkerFailed: a model took its worker with it.
        """
        manifest = parse_manifest((copy.path / MANIFEST).read_text(encoding="utf-8"))
        pin = self._pin or self._sizing(copy).variant or None
        wanted = [one for one in manifest.variants if pin in (None, one.file)]
        if not wanted:
            names = ", ".join(one.file for one in manifest.variants)
            raise WrongUsage(f"{copy.found.path} has no variant {pin!r}: it has {names}")
        if len(wanted) == 1 and manifest.golden is None:
            return Chosen(wanted[0].file)
        return await self._proven(copy, wanted, pin, golden=manifest.golden is not None)

    async def _proven(self, copy: Copy, variants: list[Variant], pin: str | None, *, golden: bool) -> Chosen:
        choices = self._opened()
        key = (await asyncio.to_thread(_digest_of, copy), pin)
        choice = choices.valid().get(key)
        if choice is None:
            rungs = rungs_for(self._engines, golden=golden)
            proofs = await proven_in_rounds(self._worker, copy.path, variants, self._sizing(copy).threads, rungs)
            choice = choose(proofs, previous=choices.previous(key), pin=pin)
            choices.keep(key, choice)
        if isinstance(choice, NoChoice):
            raise BadInput(choice.reason)
        names = led_by(choice.ladder, self._sizing(copy).engine)
        return Chosen(choice.proof.file, ladder_of(names, known_rungs(self._engines)), choice.loads_ms)

    def _opened(self) -> Choices:
        """What was chosen here before."""
        if self._choices is None:
            path = cache_folder() / "choices.json"
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._choices = Choices(path)
            hardware = (
                f"{platform.machine()}, {system.cpu_model()}, {system.cores()} cores{engines_text(self._engines)}"
            )
            self._choices.load(hardware, engine_versions())
        return self._choices


def cache_folder() -> Path:
    """Where what can be made again is kept: below XDG_CACHE_HOME."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nearfield"


def _digest_of(copy: Copy) -> Digest:
    """Of all files of a bundle, with their names."""
    parts = (f"{name} {digest_of((copy.path / name).read_bytes())}\n" for name in copy.found.files)
    return digest_of("".join(parts).encode())


async def _ended(running: asyncio.Task[None]) -> None:
    """Wait for the host's end; what it died of is raised."""
    try:
        await running
    except asyncio.CancelledError:
        return
