"""The agent's composition root: the one place where its parts are put together.

    agent = Agent(config)        # no I/O
    await agent.run()            # until stop()

What it does is decided by the plan; what it holds is the device; what it says goes through the contact. With an
identity and a desired document on the disk it needs neither coordinator nor broker to run what it had.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_node import __version__
from edge_node.capture.handle import Capture, open_capture
from edge_node.capture.kinds import check_urls
from edge_node.config import NodeConfig
from edge_node.engine.installed import engine_versions
from edge_node.errors import Refused
from edge_node.link.address import check_addresses
from edge_node.outbox.acked import accept_acked
from edge_node.outbox.events import rfc3339
from edge_node.outbox.queue import Outbox
from edge_node.store.bundles import Bundles
from edge_node.store.trust import Adopted, Stale, adopt, pipeline_names
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.contact import Contact, Ears
from edge_node.supervisor.contexts import Contexts, pipeline_settings
from edge_node.supervisor.control import StatusSocket, socket_folder, state_lock, usable
from edge_node.supervisor.desired import DesiredFile, LastGoodFile
from edge_node.supervisor.device import Device
from edge_node.supervisor.identity import Identity, IdentityFile
from edge_node.supervisor.joining import CoordinatorFetcher, Registration
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.reported import reported
from edge_node.supervisor.results import Results
from edge_node.supervisor.status import (
    BytesReport,
    LinkReport,
    StatusDocument,
    outbox_report,
    pipeline_reports,
    plan_report,
    source_reports,
    worker_report,
)
from edge_node.telemetry import system
from edge_node.telemetry.facts import device_facts
from edge_node.worker.handle import new_worker
from edge_node.worker.messages import Worker
from protos.deployment import Pipeline
from protos.desired import Desired
from protos.errors import ContractError
from protos.identity import NodeId
from protos.reported import Facts as NodeFacts
from protos.reported import Hello, Progress, Reported

PROGRESS_S = 1.0

log = logging.getLogger(__name__)


class Agent:
    """One node. Everything runs on one event loop."""

    def __init__(self, config: NodeConfig) -> None:
        folder = Path(config.state_dir)
        self._config = config
        self._folder = folder
        self._identity_file = IdentityFile(folder / "identity.json")
        self._desired_file = DesiredFile(folder / "desired.json")
        self.outbox = Outbox(folder / "outbox.db", config.outbox)
        self.device = Device(
            bundles=Bundles(folder / "store"),
            choices=Choices(folder / "choices.json"),
            last_good_file=LastGoodFile(folder / "last_good.json"),
            new_worker=self._new_worker,
            new_capture=self._new_capture,
            threads=config.threads,
            clock=time.monotonic,
            on_progress=self._on_progress,
            on_worker_exit=self._on_worker_exit,
        )
        self._contexts = Contexts(self.device.loaded, self._desired, self._topic, system.clock_synced)
        self.results = Results(self.outbox.submit, self._contexts.of, self._settings)
        self.device.on_observed = self.results.observed
        self.registration = Registration(config, lambda: self.identity, self._connected, self._on_registered)
        self.reconciler = Reconciler(self.device, self._desired, self._facts, self._on_planned)
        self.on_ready: Callable[[], None] = lambda: None
        self.identity: Identity | None = None
        self.adopted: Adopted | None = None
        self.contact: Contact | None = None
        self._refusal = self._stale = ""
        self._node_facts = NodeFacts()
        self._started_at = time.monotonic()
        self._sockets = folder
        self._progressed_at = 0.0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            WrongUsage: an address or a source's url is none.
            BadInput: the configuration or a file of the state folder cannot be used.
            Refused: another agent runs on the state folder.
        """
        check_addresses(self._config)
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
        link = "connected" if self._connected() else "not connected"
        return f"{len(self.device.pipelines)} pipelines, {link}, {self.outbox.last_seq} results"

    def status(self) -> StatusDocument:
        """What the node does now."""
        identity, desired = self.identity, self._desired()
        worker = self.device.worker
        worker_status = None if worker is None else worker.status
        report = self.reported()
        return StatusDocument(
            node="" if identity is None else identity.node,
            name=self._config.name if desired is None else desired.name,
            site=self._config.site if desired is None else desired.site,
            agent_version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started_at, 3),
            memory_kb=system.pss_kb() or 0,
            epoch=report.epoch,
            revision=report.revision,
            refusal=self._refusal,
            deployments=report.deployments,
            plan=plan_report(self.reconciler.plan, self.reconciler.under_way),
            pipelines=pipeline_reports(self.device.pipelines, worker_status, self.results.tallies),
            sources=source_reports({name: capture.report for name, capture in self.device.captures.items()}),
            worker=worker_report(worker is not None, worker_status, self.device.worker_deaths),
            outbox=outbox_report(self.outbox),
            link=self._link_report(),
            bytes=BytesReport(self.device.taken_in(), {} if self.contact is None else self.contact.bytes_out()),
        )

    def _link_report(self) -> LinkReport:
        registration = self.registration.state
        return LinkReport(coordinator=registration) if self.contact is None else self.contact.link_report(registration)

    async def _open(self) -> None:
        engines = engine_versions()
        self._node_facts = device_facts(engines, self._config.sources)
        hardware = f"{self._node_facts.machine}, {system.cpu_model()}, {self._node_facts.cores} cores"
        self.device.open(hardware, engines)
        self.outbox.on_committed = self.results.committed
        await self.outbox.open()
        self.identity = self._identity_file.load()
        if self.identity is not None:
            self.adopted = self._desired_file.load(self.identity.trusted)
            self.device.fetcher = CoordinatorFetcher(self.identity.coordinator)
            await self._make_contact(self.identity)

    async def _work(self) -> None:
        """Reconcile and stay registered until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.reconciler.run(), name="reconciler"),
                tasks.create_task(self.registration.run(self._facts_json()), name="registration"),
            ]
            await self._stopping.wait()
            log.info("stopping: finishing the frames in work")
            for task in running:
                task.cancel()

    async def _close(self) -> None:
        """Drain: no more frames, then what they gave onto the disk, then goodbye."""
        await self.device.close()
        await self.outbox.close()
        if self.contact is not None:
            await self.contact.stop()

    async def _on_registered(self, identity: Identity) -> None:
        """Keep what the coordinator said; talk to the broker that it names."""
        self.device.fetcher = CoordinatorFetcher(identity.coordinator)
        if identity != self.identity or self.contact is None:
            self._identity_file.save(identity)
            self.identity = identity
            await self._make_contact(identity)
        self.reconciler.wake()

    async def _make_contact(self, identity: Identity) -> None:
        """Begin to talk under an identity, ending an older conversation."""
        ears = Ears(connected=self._on_connected, desired=self._on_desired, acked=self._on_acked, hello=self._hello)
        contact = Contact(self._config, identity, self.outbox, ears)
        old, self.contact = self.contact, contact
        if old is not None:
            await old.stop()
        if self.adopted is not None:
            contact.call(self.adopted.desired.site, self.adopted.desired.name)
        self.results.live = contact.publish_live
        self._contexts.forget()
        await contact.start()

    def _on_connected(self) -> None:
        """Whatever could not be fetched may be tried at once."""
        self.device.forgive_fetches()
        self._publish_reported()
        self.reconciler.wake()

    def _on_desired(self, sealed: bytes) -> None:
        if self.identity is None or self.contact is None:
            return
        before = self.adopted
        try:
            adopted = adopt(sealed, self.identity.node, self.identity.trusted, before)
        except Stale as error:
            self._on_stale(str(error), self.contact)
            return
        except Refused as error:
            log.warning("%s", error)
            self._refusal = str(error)
            self._publish_reported()
            return
        self._refusal = ""
        if adopted is not before:
            self._follow(adopted, self.contact)
        self._publish_reported()
        self.reconciler.wake()

    def _on_stale(self, why: str, contact: Contact) -> None:
        """Keep what is held and say so: the coordinator sends it again, or under a new epoch."""
        if why != self._stale:
            log.info("%s", why)
        self._stale = why
        contact.hello()

    def _follow(self, adopted: Adopted, contact: Contact) -> None:
        """Keep a new document, go by its names, forget what was retained of pipelines that are gone."""
        log.info("desired state %d.%d adopted", adopted.desired.epoch, adopted.desired.revision)
        try:
            self._desired_file.save(adopted)
        except OSError as error:
            log.warning("the desired state is followed but cannot be kept (%s): free space on the disk", error)
        before, self.adopted = self.adopted, adopted
        self._contexts.forget()
        for pipeline in pipeline_names(before) - pipeline_names(adopted):
            contact.live.clear(pipeline)
        contact.call(adopted.desired.site, adopted.desired.name)

    def _on_acked(self, sealed: bytes) -> None:
        if self.identity is None or self.contact is None:
            return
        try:
            through = accept_acked(sealed, self.identity.trusted, self.outbox.stream)
        except ContractError as error:
            log.warning("an acknowledgement was not believed: %s", error)
            return
        if through is not None:
            self.contact.forwarder.acked(through)

    def _hello(self, connection: str) -> Hello:
        assert self.identity is not None
        desired = self._desired()
        return Hello(
            node=self.identity.node,
            connection=connection,
            agent_version=__version__,
            facts=self._node_facts,
            desired_digest=None if self.adopted is None else self.adopted.digest,
            epoch=0 if desired is None else desired.epoch,
            revision=0 if desired is None else desired.revision,
            stream=self.outbox.stream,
            last_seq=self.outbox.last_seq,
        )

    def reported(self) -> Reported:
        """The node's state as its coordinator hears it."""
        return reported(
            NodeId("") if self.identity is None else self.identity.node,
            self.adopted,
            self.device.actual(),
            self.reconciler.plan,
            at=rfc3339(time.time_ns()),
            refusal=self._refusal,
        )

    def _desired(self) -> Desired | None:
        return None if self.adopted is None else self.adopted.desired

    def _connected(self) -> bool:
        return self.contact is not None and self.contact.uplink.connected

    def _facts_json(self) -> str:
        return msgspec.json.encode(self._node_facts).decode()

    def _facts(self) -> Facts:
        return Facts(
            now=time.monotonic(),
            sources=frozenset(self._config.sources),
            coordinator=self.device.fetcher is not None,
            troubles=self.device.look_at_sources(),
        )

    def _on_planned(self) -> None:
        self._contexts.look_at_clock()
        self._publish_reported()

    def _publish_reported(self) -> None:
        if self.contact is not None and self._connected():
            self.contact.report(self.reported())

    def _on_progress(self, deployment: str, done: int, total: int) -> None:
        """Say how far a download is, not more than once a second."""
        now = time.monotonic()
        if self.contact is not None and (done == total or now - self._progressed_at >= PROGRESS_S):
            self._progressed_at = now
            self.contact.progress(Progress(deployment, "fetch", done, total))

    def _on_worker_exit(self, reason: str) -> None:
        log.warning("the worker died: %s", reason)
        self.device.worker_died(reason, self.reconciler.under_way)
        self.reconciler.wake()

    def _topic(self, pipeline: str) -> str | None:
        return None if self.contact is None else self.contact.topic(pipeline)

    def _settings(self, pipeline: str) -> Pipeline | None:
        return pipeline_settings(self._desired(), pipeline)

    def _new_worker(self) -> Worker:
        return new_worker(self._config.isolation)

    def _new_capture(self, source: str) -> Capture:
        return open_capture(self._config.isolation, source, self._config.sources[source], self._sockets)
