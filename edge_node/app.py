"""The agent's composition root: the one place where its parts are put together.

    agent = Agent(config)        # no I/O
    await agent.run()            # until stop()

What it does is decided by the plan; what it holds is the device; what it says goes through the contact. With an
identity and a desired document on the disk it needs neither coordinator nor broker to run what it had.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node import __version__
from edge_node.capture.handle import Capture, open_capture
from edge_node.capture.messages import CaptureReport
from edge_node.config import NodeConfig
from edge_node.engine.installed import engine_versions
from edge_node.errors import NearfieldError, Refused
from edge_node.link.address import coordinator_address
from edge_node.outbox.acked import accept_acked
from edge_node.outbox.events import PipelineContext, rfc3339
from edge_node.outbox.queue import Outbox
from edge_node.store.bundles import Bundles
from edge_node.store.trust import Adopted, adopt, pipeline_names
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.contact import Contact, Ears
from edge_node.supervisor.control import StatusSocket, socket_folder, state_lock
from edge_node.supervisor.desired import DesiredFile, LastGoodFile
from edge_node.supervisor.device import Device
from edge_node.supervisor.identity import Identity, IdentityFile
from edge_node.supervisor.joining import CoordinatorFetcher, explain, join, retry_s
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.reported import reported
from edge_node.supervisor.results import Results
from edge_node.supervisor.status import (
    BytesReport,
    LinkReport,
    OutboxReport,
    StatusDocument,
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

REJOIN_S = 30.0
"""How often a node without a connection asks the coordinator where the broker is."""
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
        self.results = Results(self.outbox.submit, self._context, self._settings)
        self.device = Device(
            bundles=Bundles(folder / "store"),
            choices=Choices(folder / "choices.json"),
            last_good_file=LastGoodFile(folder / "last_good.json"),
            new_worker=self._new_worker,
            new_capture=self._new_capture,
            threads=config.threads,
            clock=time.monotonic,
            on_progress=self._on_progress,
            on_observed=self.results.observed,
            on_worker_exit=self._on_worker_exit,
        )
        self.reconciler = Reconciler(self.device, self._desired, self._facts, self._on_planned)
        self.identity: Identity | None = None
        self.adopted: Adopted | None = None
        self.contact: Contact | None = None
        self._refusal = ""
        self._registration = "not registered yet"
        self._node_facts = NodeFacts()
        self._started_at = time.monotonic()
        self._sockets = folder
        self._contexts: dict[tuple[str, str], PipelineContext] = {}
        self._progressed_at = 0.0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            BadInput: the configuration or a file of the state folder cannot be used.
            Refused: another agent runs on the state folder.
        """
        if self._config.coordinator is not None:
            coordinator_address(self._config.coordinator)
        self._folder.mkdir(parents=True, exist_ok=True)
        with state_lock(self._folder), socket_folder(self._folder) as self._sockets:
            socket = StatusSocket(self._folder, lambda: msgspec.json.encode(self.status()))
            try:
                await self._open()
                await socket.open()
                await self._work()
            finally:
                await socket.close()
                await self._close()

    def stop(self) -> None:
        """Have `run` finish what has begun and return."""
        self._stopping.set()

    def status(self) -> StatusDocument:
        """What the node does now."""
        now, identity, desired = time.monotonic(), self.identity, self._desired()
        captures = {name: capture.report for name, capture in self.device.captures.items()}
        worker = self.device.worker
        worker_status = None if worker is None else worker.status
        report = self.reported()
        return StatusDocument(
            node="" if identity is None else identity.node,
            name=self._config.name if desired is None else desired.name,
            site=self._config.site if desired is None else desired.site,
            agent_version=__version__,
            pid=os.getpid(),
            uptime_s=round(now - self._started_at, 3),
            memory_kb=system.pss_kb() or 0,
            epoch=report.epoch,
            revision=report.revision,
            refusal=self._refusal,
            deployments=report.deployments,
            plan=plan_report(self.reconciler.plan, self.reconciler.under_way),
            pipelines=pipeline_reports(self.device.pipelines, worker_status, self.results.tallies),
            sources=source_reports(captures),
            worker=worker_report(worker is not None, worker_status, self.device.worker_deaths),
            outbox=self._outbox_report(),
            link=self._link_report(),
            bytes=self._bytes_report(captures),
        )

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
                tasks.create_task(self._stay_registered(), name="registration"),
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

    async def _stay_registered(self) -> None:
        """Register; again where the connection stays away, since the broker may have moved."""
        attempt = 0
        while True:
            try:
                await self._join()
                attempt = 0
                await asyncio.sleep(REJOIN_S)
                await self._until_disconnected()
            except NearfieldError as error:
                self._say_registration(explain(error, self.identity))
                await asyncio.sleep(retry_s(attempt, random.random()))  # noqa: S311 (jitter)
                attempt += 1

    async def _until_disconnected(self) -> None:
        while self.contact is not None and self.contact.uplink.connected:  # noqa: ASYNC110 (a look is cheap)
            await asyncio.sleep(REJOIN_S)

    async def _join(self) -> None:
        facts = msgspec.json.encode(self._node_facts).decode()
        before = self.identity
        identity = await join(self._config, before, facts)
        self.device.fetcher = CoordinatorFetcher(identity.coordinator)
        self._say_registration(f"registered with the coordinator at {identity.coordinator} as {identity.node}")
        if identity == before and self.contact is not None:
            self.reconciler.wake()
            return
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
        self._contexts.clear()
        await contact.start()

    def _say_registration(self, line: str) -> None:
        if line != self._registration:
            log.info("%s", line)
        self._registration = line

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
        except Refused as error:
            log.warning("%s", error)
            self._refusal = str(error)
            self._publish_reported()
            return
        self._refusal = ""
        if adopted is not before:
            self._desired_file.save(adopted)
            self.adopted = adopted
            self._adopt_names(before, adopted)
        self._publish_reported()
        self.reconciler.wake()

    def _adopt_names(self, before: Adopted | None, adopted: Adopted) -> None:
        """Go by the names in the document; forget what was retained of pipelines that are gone."""
        assert self.contact is not None
        log.info("desired state %d.%d adopted", adopted.desired.epoch, adopted.desired.revision)
        self._contexts.clear()
        for pipeline in pipeline_names(before) - pipeline_names(adopted):
            self.contact.live.clear(pipeline)
        self.contact.call(adopted.desired.site, adopted.desired.name)

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

    def _facts(self) -> Facts:
        return Facts(
            now=time.monotonic(),
            sources=frozenset(self._config.sources),
            coordinator=self.device.fetcher is not None,
            troubles=self.device.troubles(),
        )

    def _on_planned(self) -> None:
        self._publish_reported()

    def _publish_reported(self) -> None:
        if self.identity is None or self.contact is None or not self.contact.uplink.connected:
            return
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

    def _context(self, pipeline: str, session: str) -> PipelineContext | None:
        """What is true of every result of a session in a pipeline."""
        known = self._contexts.get((pipeline, session))
        if known is None and (made := self._new_context(pipeline, session)) is not None:
            known = self._contexts[(pipeline, session)] = made
        return known

    def _new_context(self, pipeline: str, key: str) -> PipelineContext | None:
        loaded, desired = self.device.loaded.get(key), self._desired()
        if loaded is None or desired is None or self.contact is None:
            return None
        settings = self._settings(pipeline)
        return PipelineContext(
            node=desired.node,
            site=desired.site,
            name=desired.name,
            model=loaded.session.model,
            version=loaded.session.version,
            digest=loaded.session.digest,
            engine=loaded.engine,
            accelerator=loaded.accelerator,
            topic=self.contact.topic(pipeline),
            clock="unsynced" if system.clock_synced() is False else "synced",
            priority=0 if settings is None else settings.priority,
        )

    def _settings(self, pipeline: str) -> Pipeline | None:
        """What the deployment of a pipeline wants of it."""
        desired = self._desired()
        wanted = () if desired is None else desired.deployments
        return next((one for target in wanted for one in target.pipelines if one.name == pipeline), None)

    def _new_worker(self) -> Worker:
        return new_worker(self._config.isolation)

    def _new_capture(self, source: str) -> Capture:
        return open_capture(self._config.isolation, source, self._config.sources[source], self._sockets)

    def _outbox_report(self) -> OutboxReport:
        outbox = self.outbox
        dropped = {str(reason): count for reason, count in outbox.dropped.items() if count}
        return OutboxReport(
            stream=outbox.stream,
            last_seq=outbox.last_seq,
            acked=outbox.freed,
            waiting=outbox.depth,
            bytes=outbox.waiting_bytes,
            oldest_s=round(outbox.oldest_s(), 3),
            dropped=dropped,
        )

    def _link_report(self) -> LinkReport:
        contact = self.contact
        if contact is None:
            return LinkReport(False, "no broker known yet", self._registration, "")
        live = "" if contact.site_broker is None else contact.site_broker.state
        return LinkReport(contact.uplink.connected, contact.uplink.state, self._registration, live)

    def _bytes_report(self, captures: Mapping[str, CaptureReport]) -> BytesReport:
        taken_in = self.device.taken_in_before + sum(report.ingress_bytes for report in captures.values())
        return BytesReport(taken_in, {} if self.contact is None else self.contact.bytes_out())
