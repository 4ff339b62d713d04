"""The agent's composition root: the one place where its parts are put together.

    agent = Agent(config)        # no I/O
    await agent.run()            # until stop()

What it does is decided by the plan; what it holds is the device; what it says goes through the contact. With an
identity and a desired document on the disk it needs neither coordinator nor broker to run what it had.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from edge_node.capture.handle import Capture, open_capture
from edge_node.capture.kinds import check_urls
from edge_node.config import EgressLimits, NodeConfig
from edge_node.engine.installed import engine_versions
from edge_node.engine.ladder import engines_text
from edge_node.link.address import check_addresses
from edge_node.link.gate import Gate
from edge_node.link.tls import node_context
from edge_node.membership.clock import Clock
from edge_node.membership.enrolling import take_up
from edge_node.membership.identity import Identity, credentials_in
from edge_node.outbox.events import rfc3339
from edge_node.outbox.queue import Outbox
from edge_node.pipeline.observation import Observation
from edge_node.repository.addresses import check_addresses as check_serving
from edge_node.repository.opening import opened
from edge_node.repository.tuned import FILE as TUNED
from edge_node.repository.tuned import TunedWays
from edge_node.sandbox.confinement import Confinement
from edge_node.sandbox.support import support
from edge_node.serving.client import ServingProcess
from edge_node.serving.firewall.exposure import check_exposure
from edge_node.store.bundles import Bundles
from edge_node.store.papers import PapersFolder
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.belonging import Belonging
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.commands import Commands, verbs_of
from edge_node.supervisor.contact import Contact, Ears
from edge_node.supervisor.contexts import Contexts
from edge_node.supervisor.control import StatusSocket, socket_folder, state_lock, usable
from edge_node.supervisor.desired import DesiredFile, LastGoodFile
from edge_node.supervisor.device import Device
from edge_node.supervisor.floors import FloorFile
from edge_node.supervisor.following import Following
from edge_node.supervisor.hearing import Hearing
from edge_node.supervisor.index import index_of
from edge_node.supervisor.measures import Meter, metrics_of
from edge_node.supervisor.measuring import Measuring
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.releases import Releases
from edge_node.supervisor.results import Results
from edge_node.supervisor.saying import Saying
from edge_node.supervisor.showing import Showing
from edge_node.supervisor.status import StatusDocument
from edge_node.supervisor.trials import shifts_now
from edge_node.supervisor.verdicts import VerdictFile
from edge_node.telemetry import system
from edge_node.telemetry.facts import device_facts
from edge_node.worker.forms import Forms
from edge_node.worker.handle import new_worker
from edge_node.worker.ladders import Ladders
from edge_node.worker.messages import Status, Worker
from edge_node.worker.settings import confinement_of, held_to, limits_of, patient, reaching, sandbox_text
from protos.topics import Topics
from protos.trust import TrustRoot

log = logging.getLogger(__name__)


class Agent:
    """One node. Everything runs on one event loop."""

    def __init__(self, config: NodeConfig, system_time: Callable[[], float] = time.time) -> None:
        folder = Path(config.state_dir)
        self._config = config
        self._folder = self._sockets = folder
        self.clock = Clock(0.0, system.since_boot, system_time)
        self.outbox = Outbox(folder / "outbox.db", config.outbox)
        self.following = Following(DesiredFile(folder / "desired.json"), self.clock)
        self._forms = Forms(folder / "cache" / "compiled", config.engines.cache_mb * 2**20)
        self._ladders = Ladders(self._forms)
        self.device = self._new_device(config, folder)
        self.meter = Meter(self.device)
        self.reconciler = Reconciler(self.device, lambda: self.following.desired, self._facts, self._on_planned)
        self.belonging = Belonging(
            config, self.clock, self.device, self.following, self._new_contact, self.reconciler.wake
        )
        self._contexts = Contexts(
            self.device.loaded, lambda: self.following.desired, self.belonging.topic, self._clock_synced
        )
        self.results = Results(self.outbox.submit, self._contexts.of, self.following.settings)
        self.device.on_observed, self.device.on_worker_status = self._on_observed, self._on_worker_status
        self.saying = Saying(self.belonging, self.following, self.device, self.reconciler, self.outbox)
        self.showing = Showing(
            belonging=self.belonging,
            following=self.following,
            device=self.device,
            reconciler=self.reconciler,
            outbox=self.outbox,
            results=self.results,
            meter=self.meter,
            clock=self.clock,
            saying=self.saying,
        )
        self.hearing = Hearing(
            self.belonging,
            self.following,
            self.outbox,
            self.clock,
            Commands(folder / "commands.json", verbs_of(self.status), self._now),
            self._now,
            self._on_desired,
        )
        self.device.shadows.on_changed = self.reconciler.wake
        self.on_ready: Callable[[], None] = lambda: None
        self._stopping = asyncio.Event()

    @property
    def identity(self) -> Identity | None:
        """Who this node is, None until it is one."""
        return self.belonging.identity

    @property
    def contact(self) -> Contact | None:
        """The conversation with its coordinator, None until it is a node."""
        return self.belonging.contact

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            WrongUsage: an address or a source's url is none.
            BadInput: the configuration or a file of the state folder cannot be used.
            Refused: another agent runs on the state folder, or this device is no node.
        """
        check_addresses(self._config)
        serving = self._config.serving
        check_serving({"grpc": serving.grpc, "http": serving.http, "metrics": serving.metrics})
        check_exposure(serving)
        check_urls({name: source.url for name, source in self._config.sources.items()})
        with state_lock(self._folder), socket_folder(self._folder) as self._sockets:
            socket = StatusSocket(self._folder, lambda: msgspec.json.encode(self.status()))
            try:
                with usable(self._folder):
                    await self._open()
                    await socket.open()
                self.on_ready()
                await self._work()
            finally:
                await socket.close()
                await self._close()

    def stop(self) -> None:
        """Have `run` finish what has begun and return."""
        self._stopping.set()

    def summary(self) -> str:
        """What the node does now, in a few words that cost nothing."""
        return self.showing.summary()

    def status(self) -> StatusDocument:
        """What the node does now."""
        return self.showing.status()

    async def _open(self) -> None:
        engines = engine_versions()
        sandbox = sandbox_text(self._config, support())
        log.info("processes that open models: %s", sandbox)
        facts = self.saying.facts = device_facts(engines, self._config, sandbox)
        hardware = f"{facts.machine}, {system.cpu_model()}, {facts.cores} cores{engines_text(self._config.engines)}"
        self.device.open(hardware, engines)
        take_up(self._folder)
        self.outbox.on_committed = self.results.committed
        await self.outbox.open()
        await self.belonging.begin()

    async def _work(self) -> None:
        """Reconcile and stay registered until `stop`."""
        facts_json = self.saying.facts_json()
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.reconciler.run(), name="reconciler"),
                tasks.create_task(self.belonging.registration.run(facts_json), name="registration"),
                tasks.create_task(self.belonging.upkeep.run(facts_json), name="upkeep"),
                tasks.create_task(self.meter.tell(self._tell_metrics), name="metrics"),
            ]
            await self._stopping.wait()
            log.info("stopping: finishing the frames in work")
            for task in running:
                task.cancel()

    async def _close(self) -> None:
        """Drain: no more frames, then what they gave onto the disk, then goodbye."""
        await self.device.close()
        await self.outbox.close()
        await self.belonging.end()

    def _new_device(self, config: NodeConfig, folder: Path) -> Device:
        papers, floors = PapersFolder(folder / "store"), FloorFile(folder / "floors.json")
        return Device(
            bundles=Bundles(folder / "store"),
            releases=Releases(papers, floors, self._trust_roots, self._now),
            choices=Choices(folder / "choices.json"),
            tuned=TunedWays(folder / TUNED),
            last_good_file=LastGoodFile(folder / "last_good.json"),
            verdict_file=VerdictFile(folder / "verdicts.json"),
            measuring=Measuring(time.monotonic, lambda: rfc3339(time.time_ns())),
            new_worker=self._new_worker,
            new_candidate=self._new_candidate if config.isolation == "process" else None,
            new_capture=self._new_capture,
            new_serving=self._new_serving,
            threads=config.threads,
            engines=config.engines,
            clock=time.monotonic,
            on_progress=self._on_progress,
            on_worker_exit=self._on_worker_exit,
            on_serving_exit=self._on_serving_exit,
        )

    def _new_contact(self, identity: Identity) -> Contact:
        """A conversation under an identity; results go out through it from now on."""
        ears = Ears(
            connected=self._on_connected,
            desired=self.hearing.desired,
            acked=self.hearing.acked,
            command=self.hearing.command,
            hello=self.saying.hello,
        )
        tls = partial(node_context, credentials_in(self._folder), self.clock.known)
        contact = Contact(self._config, identity, self.outbox, ears, self._gate(identity), tls)
        self.results.live = contact.publish_live
        self._contexts.forget()
        return contact

    def _gate(self, identity: Identity) -> Gate:
        """What of everything that this agent says may leave."""
        if self._config.egress != EgressLimits():
            log.info("kept here beyond the egress contract: %s", msgspec.json.encode(self._config.egress).decode())
        topics = Topics(identity.topic_prefix)
        return Gate(topics, self._config.egress, declared=self.following.egress, traffic=self.meter.traffic)

    def _on_connected(self) -> None:
        """Whatever could not be fetched may be tried at once."""
        self.device.forgive_fetches()
        self.saying.report()
        self.reconciler.wake()

    def _on_desired(self, is_followed: bool) -> None:
        """Desired state was heard; a document that was refused changes nothing but what is reported."""
        self.saying.report()
        if is_followed:
            self._contexts.forget()
            self.reconciler.wake()

    def _on_planned(self) -> None:
        serve = self._config.serving.enabled
        self.device.tell(index_of(self.following.desired, self.device.actual(), self.reconciler.plan, serve))
        self._contexts.look_at_clock()
        self.device.measuring.shifts = shifts_now(self.following.desired, system.minute_of_day())
        self.meter.look()
        self.saying.report()

    def _on_observed(self, observations: Sequence[Observation]) -> None:
        self.results.observed(observations)
        self.device.observed(observations)

    def _on_worker_exit(self, reason: str) -> None:
        log.warning("the worker died: %s", reason)
        self.device.worker_died(reason, self.reconciler.under_way)
        self.reconciler.wake()

    def _on_worker_status(self, status: Status) -> None:
        self.device.measure()
        if self.device.look_at_lanes(status):
            self.reconciler.wake()

    def _on_serving_exit(self, reason: str) -> None:
        log.warning("%s", reason)
        self.device.serving_died(reason)
        self.reconciler.wake()

    def _tell_metrics(self) -> None:
        started = self.saying.started
        self.saying.count(lambda: metrics_of(self.status(), at=rfc3339(time.time_ns()), started=started))

    def _facts(self) -> Facts:
        return Facts(
            now=time.monotonic(),
            sources=frozenset(self._config.sources),
            quota_bytes=self._config.store.quota_mb * 2**20,
            free_bytes=self.device.bundles.blobs.free_bytes(),
            coordinator=self.device.fetcher is not None,
            troubles=self.device.look_at_sources(),
            serve=self._config.serving.enabled,
            processes=self.device.new_candidate is not None,
        )

    def _on_progress(self, deployment: str, done: int, total: int) -> None:
        self.saying.progress(deployment, done, total)

    def _trust_roots(self) -> tuple[TrustRoot, ...]:
        return self.belonging.trust_roots()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.for_expiry(), UTC)

    def _clock_synced(self) -> bool | None:
        return False if self.clock.system_is_wrong() else system.clock_synced()

    def _new_worker(self) -> Worker:
        limits = limits_of(self._config.worker, self._config.engines.hang_s)
        return new_worker(self._config.isolation, self._confinement(), limits, self._ladders)

    def _new_candidate(self, memory_mb: int | None) -> Worker:
        limits = limits_of(self._config.worker, self._config.engines.hang_s)
        confinement = held_to(self._confinement(), memory_mb)
        return new_worker(self._config.isolation, confinement, patient(limits), self._ladders)

    def _confinement(self) -> Confinement:
        models, engines = self._folder / "store" / "bundles", self._config.engines
        return reaching(confinement_of(self._config.worker, models, system.memory_kb()), engines, self._forms.folder)

    def _new_capture(self, source: str) -> Capture:
        return open_capture(self._config.isolation, source, self._config.sources[source], self._sockets)

    def _new_serving(self) -> ServingProcess:
        wanted = self._config.serving
        lanes = str(self._sockets / "lanes")
        return ServingProcess(opened(wanted, lanes, self._folder))
