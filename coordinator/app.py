"""The coordinator's composition root: the one place where its parts are put together.

    coordinator = Coordinator(config, folder)
    await coordinator.start()        # coordinator.address, coordinator.broker_url
    await coordinator.stop()

Tests start the same object with port 0 and a temporary folder.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator import __version__
from coordinator.api.audit_service import AuditService
from coordinator.api.audited import AuditedCalls, stranger
from coordinator.api.deployment_service import DeploymentService as DeploymentApi
from coordinator.api.facts import BrokerLink, CoordinatorFacts
from coordinator.api.guard import Guard, actor
from coordinator.api.node_service import NodeService as NodeApi
from coordinator.api.result_service import ResultService
from coordinator.api.server import ApiServer, Listener, Service
from coordinator.api.system_service import SystemService
from coordinator.audit.log import AuditLog
from coordinator.config import CoordinatorConfig
from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.db.results_database import ResultsDatabase, open_results
from coordinator.first_root import read_first_root
from coordinator.fleet.admitted import AdmittedNodes
from coordinator.fleet.census import take_census
from coordinator.fleet.commands import Commands
from coordinator.fleet.comparison import Comparison
from coordinator.fleet.controller import SUBSCRIBED, Controller
from coordinator.fleet.deployments import DeploymentService
from coordinator.fleet.nodes import NodeService
from coordinator.fleet.reports import ReportService
from coordinator.fleet.succession import Succession
from coordinator.folder import Folder, held, read_signing_key
from coordinator.identities import Identities
from coordinator.link.access_control import AccessControl
from coordinator.link.addresses import machine_addresses, machine_name
from coordinator.link.broker import BrokerClient, Handler, broker_of, own_identity
from coordinator.link.discovery import Announced, Announcement, announced_addresses
from coordinator.link.own_broker import BrokerSettings, OwnBroker, own_broker
from coordinator.link.tls import TlsFiles
from coordinator.publishing import Publishing
from coordinator.registry.blobs import Blobs
from coordinator.registry.roots import TrustRoots
from coordinator.registry.tidying import tidy_daily
from coordinator.results.ingest import Collector
from coordinator.results.tail import TailHub
from protos.envelope import COMMAND, DESIRED, key_id, public_bytes, seal
from protos.fleet.v1 import (
    access_pb2_grpc,
    audit_pb2_grpc,
    deployment_pb2_grpc,
    enrollment_pb2_grpc,
    node_pb2_grpc,
    result_pb2_grpc,
    system_pb2_grpc,
)
from protos.identity import NodeId
from protos.topics import DELIVERY, Kind, Topics


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


class Coordinator:
    """One coordinator. `start` and `stop` on one event loop; `failed` ends with the error of a part that broke.

    Args:
        config: the configuration.
        folder: the folder that `edge-coordinator init` made.
    """

    def __init__(self, config: CoordinatorConfig, folder: Path) -> None:
        self._config = config
        self._folder = Folder(folder)
        self._topics = Topics(config.topic_prefix)
        self._parts = AsyncExitStack()
        self._api: ApiServer | None = None
        self._enrollment: ApiServer | None = None
        self._link: BrokerClient | None = None
        self.identities: Identities | None = None
        """known after `start`"""
        self.broker_url = ""
        """where nodes and subscribers connect; known after `start`"""
        self.broker_kind: Literal["managed", "embedded", "external"] = "external"
        self.failed: asyncio.Future[None] | None = None

    @property
    def folder(self) -> Folder:
        """Where its files are."""
        return self._folder

    @property
    def broker_words(self) -> str:
        """What kind of broker it is, and that an external one has not answered yet."""
        waiting = self.broker_kind == "external" and not (self._link and self._link.connected)
        return f"{self.broker_kind}, not connected yet" if waiting else self.broker_kind

    @property
    def address(self) -> str:
        """host:port of the gRPC API; known after `start`."""
        return "" if self._api is None else self._api.address

    @property
    def enrollment_address(self) -> str:
        """host:port where devices enroll; known after `start`."""
        return "" if self._enrollment is None else self._enrollment.address

    async def start(self) -> None:
        """Start all parts; on an error those that run are stopped again.

        Raises:
            NearfieldError: what cannot be used or reached, in one line.
        """
        self.failed = asyncio.get_running_loop().create_future()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all parts, the newest first. Idempotent."""
        await self._parts.aclose()

    async def _start(self) -> None:
        key = read_signing_key(self._folder)
        self._parts.enter_context(held(self._folder))
        store, results = await self._open_store(), await self._open_results()
        identities = self.identities = await self._open_identities(store)
        blobs, hub = Blobs(self._folder.bundles), TailHub()
        await asyncio.to_thread(blobs.prepare)
        files = TlsFiles(self._folder.authorities, self._folder.server_certificate, self._folder.server_key)
        own = await self._start_broker(identities, files)
        address = own_identity(own.url, files) if own else broker_of(self._config, files)
        assert address is not None  # without one the coordinator has its own
        client = self._link = BrokerClient(address)
        manages = address.server_name is not None
        access = AccessControl(identities.access, client, own, self._topics, manages=manages)
        identities.access_settled = access.settle
        controller = self._controller(store, client, key)
        # nodes that the broker sends away cannot say that they are gone: the controller does
        identities.on_access_changed = _each(access.wake, controller.on_connected)
        client.when_connected(controller.on_connected)
        admits = AdmittedNodes(store, identities.revocations.is_revoked)
        collector = Collector(
            results.repository,
            client.publish,
            self._topics,
            key,
            hub,
            admits=admits,
            follows=Succession(store),
            now=utc_now,
        )
        self._subscribe(client, SUBSCRIBED, controller.on_message)
        self._subscribe(client, (Kind.DURABLE,), collector.receive)
        commands = Commands(store, client, partial(_commanded, key), self._topics, utc_now, os.urandom)
        self._subscribe(client, (Kind.REPLIES,), commands.on_message)
        self._start_collector(collector)
        await self._run(client.start, client.stop)
        self._background(controller.run(), "controller")
        self._background(access.run(), "access")
        facts = self._facts(public_bytes(key))
        publishing = await self._open_publishing(store, blobs, public_bytes(key), controller)
        self._background(tidy_daily(publishing.registry), "registry")

        loop = asyncio.get_running_loop()

        async def tell(nodes: Collection[NodeId]) -> None:
            await access.settle()  # a node that is renamed may write under its new name before it hears of it
            controller.wake(nodes)

        def on_changed(nodes: Collection[NodeId]) -> None:
            asyncio.run_coroutine_threadsafe(tell(nodes), loop)

        audit = AuditLog(store, utc_now)
        services = self._services(store, on_changed, facts, publishing, commands, identities)
        services.append((audit_pb2_grpc.add_AuditServiceServicer_to_server, AuditService(audit)))
        services.extend(publishing.services())
        services.append((result_pb2_grpc.add_ResultServiceServicer_to_server, ResultService(results.query, hub)))
        system = SystemService(
            facts, lambda: BrokerLink(client.connected, client.state), lambda: take_census(store), results.query
        )
        services.append((system_pb2_grpc.add_SystemServiceServicer_to_server, system))
        await self._start_api(services, identities, AuditedCalls(audit, actor, utc_now))
        strangers = AuditedCalls(audit, stranger, utc_now)
        await self._start_enrollment(identities, facts, publishing, on_changed, strangers)
        self._parts.callback(hub.close)  # first of all: whoever watches results would hold the API up
        await self._announce(key_id(public_bytes(key)))

    async def _open_identities(self, store: ControlStore) -> Identities:
        identities = await asyncio.to_thread(Identities, self._config, self._folder, store, utc_now)
        await asyncio.to_thread(identities.prepare)
        self._background(identities.revocations.run(), "revocations")
        return identities

    async def _open_publishing(
        self, store: ControlStore, blobs: Blobs, key: bytes, controller: Controller
    ) -> Publishing:
        roots = TrustRoots(store, read_first_root(self._folder), key, controller.compare)
        await asyncio.to_thread(roots.prepare)
        return Publishing(store, blobs, roots, utc_now)

    async def _open_store(self) -> ControlStore:
        url = self._config.database or sqlite_url(self._folder.database)
        store = ControlStore(await asyncio.to_thread(open_engine, url))
        self._parts.callback(store.close)
        await asyncio.to_thread(store.prepare)
        return store

    async def _open_results(self) -> ResultsDatabase:
        url = self._config.results_database or sqlite_url(self._folder.results_database)
        results = await asyncio.to_thread(open_results, url, self._config.results_retention_days)
        self._parts.callback(results.close)
        return results

    def _subscribe(self, client: BrokerClient, kinds: Iterable[Kind], handler: Handler) -> None:
        for kind in kinds:
            client.subscribe(self._topics.from_all_nodes(kind), DELIVERY[kind].qos, handler)

    def _start_collector(self, collector: Collector) -> None:
        collector.start()
        self._parts.push_async_callback(asyncio.to_thread, collector.stop)

    async def _start_broker(self, identities: Identities, files: TlsFiles) -> OwnBroker | None:
        """The own broker, running; None where the configuration names another."""
        named = broker_of(self._config, files)
        if named is not None:
            self.broker_url = named.safe_url
            self._background(identities.keep_certificate(lambda: None), "certificate")
            return None
        table = await asyncio.to_thread(identities.access)
        host, port = self._config.host, self._config.broker_port
        settings = BrokerSettings(self._folder.broker, host, port, files, self._topics, table)
        broker = own_broker(self._config.own_broker, settings)
        await self._run(broker.start, broker.stop)
        self._background(identities.keep_certificate(broker.renew), "certificate")
        self.broker_url, self.broker_kind = broker.url, broker.kind
        return broker

    def _controller(self, store: ControlStore, client: BrokerClient, key: Ed25519PrivateKey) -> Controller:
        return Controller(
            comparison=Comparison(store, self._topics, utc_now),
            reports=ReportService(store, self._topics, utc_now),
            publisher=client,
            sign=lambda payload: seal(DESIRED, payload, key),
            topics=self._topics,
        )

    def _facts(self, key: bytes) -> CoordinatorFacts:
        return CoordinatorFacts(
            version=__version__,
            broker_url=self.broker_url,
            broker_kind=self.broker_kind,
            topic_prefix=self._topics.prefix,
            trusted_keys=(key,),
            started_at=utc_now(),
        )

    def _services(
        self,
        store: ControlStore,
        on_changed: Callable[[Collection[NodeId]], None],
        facts: CoordinatorFacts,
        publishing: Publishing,
        commands: Commands,
        identities: Identities,
    ) -> list[Service]:
        nodes = NodeService(store, self._topics, utc_now, on_changed)
        deployments = DeploymentService(store, self._topics, utc_now, on_changed, publishing.manifest_of)
        revoke = identities.revocations.add
        return [
            (deployment_pb2_grpc.add_DeploymentServiceServicer_to_server, DeploymentApi(deployments)),
            (
                node_pb2_grpc.add_NodeServiceServicer_to_server,
                NodeApi(nodes, facts, utc_now, revoke, publishing.trust_roots, commands),
            ),
            (access_pb2_grpc.add_AccessServiceServicer_to_server, identities.access_service()),
        ]

    async def _start_api(self, services: list[Service], identities: Identities, audited: AuditedCalls) -> None:
        listener = Listener(self._config.host, self._config.port, "--port", with_certificates=True)
        guard = Guard(identities.revocations.is_revoked)
        api = ApiServer(services, listener, identities.shown, (audited, guard))
        await self._run(api.start, api.stop)
        self._api = api

    async def _start_enrollment(
        self,
        identities: Identities,
        facts: CoordinatorFacts,
        publishing: Publishing,
        on_changed: Callable[[Collection[NodeId]], None],
        audited: AuditedCalls,
    ) -> None:
        service = identities.enrollment_service(
            self._topics, self.address, facts.broker_url, facts.trusted_keys, publishing.trust_roots, on_changed
        )
        listener = Listener(self._config.host, self._config.enroll_port, "--enroll-port", with_certificates=False)
        add_to_server = enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server
        server = ApiServer([(add_to_server, service)], listener, identities.shown, (audited,))
        await self._run(server.start, server.stop)
        self._enrollment = server
        identities.enrollment_port = _port(server.address)

    async def _announce(self, key: str) -> None:
        if self._config.announce:
            port, enrollment_port = _port(self.address), _port(self.enrollment_address)
            addresses = announced_addresses(self._config.host, machine_addresses())
            announcement = Announcement(Announced(machine_name(), addresses, port, enrollment_port, __version__, key))
            await self._run(announcement.start, announcement.stop)

    async def _run(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        await start()
        self._parts.push_async_callback(stop)

    def _background(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run a part that never ends by itself; its error ends the coordinator."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._part_ended)
        self._parts.push_async_callback(_cancelled, task)

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self.failed is not None and not self.failed.done():
            self.failed.set_exception(error)


def _commanded(key: Ed25519PrivateKey, payload: bytes) -> bytes:
    return seal(COMMAND, payload, key)


def _each(*callbacks: Callable[[], None]) -> Callable[[], None]:
    def call_each() -> None:
        for callback in callbacks:
            callback()

    return call_each


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
