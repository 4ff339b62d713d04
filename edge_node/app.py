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
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from edge_node import __version__
from edge_node.capture.handle import Capture, open_capture
from edge_node.capture.kinds import check_urls
from edge_node.config import EgressLimits, NodeConfig
from edge_node.engine.installed import engine_versions
from edge_node.errors import Refused
from edge_node.link.address import check_addresses
from edge_node.link.coordinator import Dial
from edge_node.link.gate import Gate
from edge_node.link.tls import node_context
from edge_node.outbox.acked import acknowledgement
from edge_node.outbox.events import rfc3339
from edge_node.outbox.queue import Outbox
from edge_node.sandbox.support import support
from edge_node.store.bundles import Bundles
from edge_node.store.papers import PapersFolder
from edge_node.store.trust import Adopted, Stale, adopt, pipeline_names
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.clock import Clock, seconds_of
from edge_node.supervisor.commands import Commands, verbs_of
from edge_node.supervisor.contact import Contact, Ears
from edge_node.supervisor.contexts import Contexts, pipeline_settings
from edge_node.supervisor.control import StatusSocket, socket_folder, state_lock, usable
from edge_node.supervisor.desired import DesiredFile, LastGoodFile
from edge_node.supervisor.device import Device
from edge_node.supervisor.enrolling import take_up
from edge_node.supervisor.floors import FloorFile
from edge_node.supervisor.identity import IDENTITY, Identity, IdentityFile, credentials_in, has_moved
from edge_node.supervisor.joining import CoordinatorFetcher, Registration
from edge_node.supervisor.measures import Meter, metrics_of
from edge_node.supervisor.membership import Membership
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.releases import Releases
from edge_node.supervisor.reported import reported
from edge_node.supervisor.results import Results
from edge_node.supervisor.status import (
    LinkReport,
    StatusDocument,
    clock_report,
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
from edge_node.worker.settings import confinement_of, limits_of, sandbox_text
from protos.deployment import Egress, Pipeline
from protos.desired import Desired
from protos.errors import ContractError
from protos.identity import NodeId
from protos.reported import Facts as NodeFacts
from protos.reported import Hello, Progress, Reported
from protos.topics import Topics
from protos.trust import TrustRoot, newest_number

PROGRESS_S = 1.0

log = logging.getLogger(__name__)


class Agent:
    """One node. Everything runs on one event loop."""

    def __init__(self, config: NodeConfig, system_time: Callable[[], float] = time.time) -> None:
        folder = Path(config.state_dir)
        self._config = config
        self._folder = folder
        self._identity_file = IdentityFile(folder / IDENTITY)
        self.clock = Clock(0.0, system.since_boot, system_time)
        self.membership = Membership(config, self.clock, lambda: self.identity, self._on_identity, self._on_certificate)
        self._desired_file = DesiredFile(folder / "desired.json")
        self.outbox = Outbox(folder / "outbox.db", config.outbox)
        self.device = Device(
            bundles=Bundles(folder / "store"),
            releases=Releases(
                PapersFolder(folder / "store"), FloorFile(folder / "floors.json"), self._trust_roots, self._now
            ),
            choices=Choices(folder / "choices.json"),
            last_good_file=LastGoodFile(folder / "last_good.json"),
            new_worker=self._new_worker,
            new_capture=self._new_capture,
            threads=config.threads,
            clock=time.monotonic,
            on_progress=self._on_progress,
            on_worker_exit=self._on_worker_exit,
        )
        self.meter = Meter(self.device)
        self._contexts = Contexts(self.device.loaded, self._desired, self._topic, self._clock_synced)
        self.results = Results(self.outbox.submit, self._contexts.of, self._settings)
        self.device.on_observed = self.results.observed
        self.registration = Registration(
            config, lambda: self.identity, self._connected, self._on_registered, self._dial
        )
        self.commands = Commands(folder / "commands.json", verbs_of(self.status), self._now)
        self.reconciler = Reconciler(self.device, self._desired, self._facts, self._on_planned)
        self.on_ready: Callable[[], None] = lambda: None
        self.identity: Identity | None = None
        self.adopted: Adopted | None = None
        self.contact: Contact | None = None
        self._refusal = self._stale = ""
        self._node_facts = NodeFacts()
        self._started_at = time.monotonic()
        self._started = ""
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
        identity = self.identity
        worker = self.device.worker
        worker_status = None if worker is None else worker.status
        report = self.reported()
        return StatusDocument(
            node="" if identity is None else identity.node,
            name=self._called(lambda one: one.name),
            site=self._called(lambda one: one.site),
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
            worker=worker_report(
                worker is not None, worker_status, self.device.worker_deaths, self._node_facts.sandbox
            ),
            outbox=outbox_report(self.outbox),
            link=self._link_report(),
            bytes=self.meter.report(),
            identity=self.membership.report(),
            clock=clock_report(self.clock),
        )

    def _called(self, of: Callable[[Desired | Identity], str]) -> str:
        """Today's name or site: of the desired document, else of the identity."""
        known = self._desired() or self.identity
        return "" if known is None else of(known)

    def _link_report(self) -> LinkReport:
        registration = self.registration.state
        return LinkReport(coordinator=registration) if self.contact is None else self.contact.link_report(registration)

    async def _open(self) -> None:
        self._started = rfc3339(time.time_ns())
        engines = engine_versions()
        sandbox = sandbox_text(self._config, support())
        log.info("processes that open models: %s", sandbox)
        self._node_facts = device_facts(engines, self._config.sources, self._config.egress, sandbox)
        hardware = f"{self._node_facts.machine}, {system.cpu_model()}, {self._node_facts.cores} cores"
        self.device.open(hardware, engines)
        take_up(self._folder)
        self.outbox.on_committed = self.results.committed
        await self.outbox.open()
        self.membership.load()
        self.identity = self._identity_file.load()
        if self.identity is not None:
            await self._be(self.identity)
        elif self._config.token_file is None:
            raise Refused("this device has no identity: edge-node enroll TOKEN makes it a node")

    async def _work(self) -> None:
        """Reconcile and stay registered until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.reconciler.run(), name="reconciler"),
                tasks.create_task(self.registration.run(self._facts_json()), name="registration"),
                tasks.create_task(self.membership.run(self._facts_json()), name="membership"),
                tasks.create_task(self.meter.tell(self._publish_metrics), name="metrics"),
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
        self.membership.close()

    async def _be(self, identity: Identity) -> None:
        """Act under an identity from now on; what another node was told to run is forgotten."""
        self.identity = identity
        self.adopted = self._desired_file.load(identity.trusted, identity.node)
        if self.adopted is not None:
            self.clock.reached(seconds_of(self.adopted.desired.issued_at))
        self.device.fetcher = CoordinatorFetcher(identity.coordinator, self._dial)
        await self._make_contact(identity)

    async def _on_identity(self) -> None:
        """An identity was put into the folder while this agent ran."""
        identity = self._identity_file.load()
        if identity is not None:
            await self._be(identity)
            self.registration.again()
            self.reconciler.wake()

    async def _on_certificate(self) -> None:
        """A connection that stands goes on; one that was refused is tried at once with the new certificate."""
        if self.identity is not None and not self._connected():
            await self._make_contact(self.identity)
            self.registration.again()

    def _dial(self, address: str) -> Dial:
        return Dial(address, credentials_in(self._folder), self.clock.known())

    def _clock_synced(self) -> bool | None:
        return False if self.clock.system_is_wrong() else system.clock_synced()

    async def _on_registered(self, identity: Identity) -> None:
        """Keep what the coordinator said; talk to the broker that it names."""
        self.device.fetcher = CoordinatorFetcher(identity.coordinator, self._dial)
        before, self.identity = self.identity, identity
        if identity != before:
            self._identity_file.save(identity)
        if self.contact is None or before is None or has_moved(before, identity):
            await self._make_contact(identity)
        if before is not None and before.roots != identity.roots:
            self._trust_anew(identity, self.contact)
        self.reconciler.wake()

    def _trust_anew(self, identity: Identity, contact: Contact | None) -> None:
        """Another root is in force: what was refused under the one before may be believed now."""
        log.info("trust root %d is in force", newest_number(identity.roots))
        self._identity_file.save_authorities(identity)
        self.device.forgive_fetches()
        if contact is not None:
            contact.hello()

    async def _make_contact(self, identity: Identity) -> None:
        """Begin to talk under an identity, ending an older conversation."""
        ears = Ears(
            connected=self._on_connected,
            desired=self._on_desired,
            acked=self._on_acked,
            command=self._on_command,
            hello=self._hello,
        )
        tls = partial(node_context, credentials_in(self._folder), self.clock.known)
        contact = Contact(self._config, identity, self.outbox, ears, self._gate(identity), tls)
        old, self.contact = self.contact, contact
        if old is not None:
            await old.stop()
        if self.adopted is not None:
            contact.call(self.adopted.desired.site, self.adopted.desired.name)
        self.results.live = contact.publish_live
        self._contexts.forget()
        await contact.start()

    def _gate(self, identity: Identity) -> Gate:
        """What of everything that this agent says may leave."""
        topics = Topics(identity.topic_prefix)
        if self._config.egress != EgressLimits():
            log.info("kept here beyond the egress contract: %s", msgspec.json.encode(self._config.egress).decode())
        return Gate(topics, self._config.egress, declared=self._declared, traffic=self.meter.traffic)

    def _declared(self, pipeline: str) -> Egress:
        settings = self._settings(pipeline)
        return Egress() if settings is None else settings.egress

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
            adopted = adopt(sealed, self.identity.node, self.identity.trusted, before, self._now())
        except Stale as error:
            self._on_stale(str(error), self.contact)
            return
        except Refused as error:
            log.warning("%s", error)
            self._refusal = str(error)
            self._publish_reported()
            self.registration.look_again()  # the coordinator may have another key by now, and a root that says so
            return
        self._refusal = ""
        if adopted is not before:
            self._follow(adopted, self.contact)
        if adopted.desired.trust_root > newest_number(self.identity.roots):
            self.registration.look_again()
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
        self.clock.reached(seconds_of(adopted.desired.issued_at))
        self._contexts.forget()
        for pipeline in pipeline_names(before) - pipeline_names(adopted):
            contact.live.clear(pipeline)
        contact.call(adopted.desired.site, adopted.desired.name)

    def _on_acked(self, sealed: bytes) -> None:
        if self.identity is None or self.contact is None:
            return
        try:
            acked = acknowledgement(sealed, self.identity.trusted)
        except ContractError as error:
            log.warning("an acknowledgement was not believed: %s", error)
            return
        self.clock.reached(seconds_of(acked.at))
        if acked.stream == self.outbox.stream:
            self.contact.forwarder.acked(acked.through)

    def _on_command(self, sealed: bytes, nonce: str) -> None:
        if self.identity is None or self.contact is None:
            return
        try:
            self.contact.reply(self.commands.answer(sealed, nonce, self.identity.node, self.identity.trusted))
        except (Refused, OSError) as error:
            log.warning("a command was not carried out: %s", error)

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

    def _trust_roots(self) -> tuple[TrustRoot, ...]:
        return () if self.identity is None else self.identity.trust_roots()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.for_expiry(), UTC)

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
        self.meter.look()
        self._publish_reported()

    def _publish_reported(self) -> None:
        if self.contact is not None and self._connected():
            self.contact.report(self.reported())

    def _publish_metrics(self) -> None:
        if self.contact is not None and self._connected():
            self.contact.metrics(metrics_of(self.status(), at=rfc3339(time.time_ns()), started=self._started))

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
        models = self._folder / "store" / "bundles"
        confinement = confinement_of(self._config.worker, models, system.memory_kb())
        return new_worker(self._config.isolation, confinement, limits_of(self._config.worker))

    def _new_capture(self, source: str) -> Capture:
        return open_capture(self._config.isolation, source, self._config.sources[source], self._sockets)
