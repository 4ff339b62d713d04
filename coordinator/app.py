"""The coordinator's composition root: the one place where its parts are put together.

    coordinator = Coordinator(config, folder)
    await coordinator.start()        # coordinator.address, coordinator.broker_url
    await coordinator.stop()

Tests start the same object with port 0 and a temporary folder.
"""

import asyncio
import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator import __version__
from coordinator.api.facts import CoordinatorFacts
from coordinator.config import CoordinatorConfig, requirements
from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.db.results_database import ResultsDatabase, open_results
from coordinator.fleet.admitted import AdmittedNodes
from coordinator.fleet.commands import Commands
from coordinator.fleet.comparison import Comparison
from coordinator.fleet.controller import SUBSCRIBED, Controller
from coordinator.fleet.reports import ReportService
from coordinator.fleet.succession import Succession
from coordinator.folder import Folder, held, read_signing_key
from coordinator.parts.identities import Identities
from coordinator.parts.messaging import Messaging
from coordinator.parts.publishing import Publishing
from coordinator.parts.relaying import relayed_place
from coordinator.parts.rolling import rollout_controller
from coordinator.parts.running import Running
from coordinator.parts.serving import Served, Serving
from coordinator.registry.blobs import Blobs
from coordinator.registry.roots import TrustRoots
from coordinator.registry.tidying import tidy_daily
from coordinator.results.ingest import Collector
from coordinator.results.live_places import LivePlaces
from coordinator.results.relay import Relay
from coordinator.results.tail import TailHub
from coordinator.trust.first_root import read_first_root
from protos.envelope import COMMAND, DESIRED, public_bytes, seal
from protos.identity import NodeId
from protos.topics import Kind, Topics


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
        self._running = Running()
        self._messaging: Messaging | None = None
        self._serving: Serving | None = None
        self.identities: Identities | None = None
        """known after `start`"""

    @property
    def folder(self) -> Folder:
        """Where its files are."""
        return self._folder

    @property
    def failed(self) -> asyncio.Future[None] | None:
        """Ends with the error of a part that broke; known after `start`."""
        return self._running.failed

    @property
    def broker_url(self) -> str:
        """Where nodes and subscribers connect; known after `start`."""
        return "" if self._messaging is None else self._messaging.url

    @property
    def broker_words(self) -> str:
        """What kind of broker it is, and that an external one has not answered yet."""
        return "" if self._messaging is None else self._messaging.words

    @property
    def address(self) -> str:
        """host:port of the gRPC API; known after `start`."""
        return "" if self._serving is None else self._serving.address

    @property
    def enrollment_address(self) -> str:
        """host:port where devices enroll; known after `start`."""
        return "" if self._serving is None else self._serving.enrollment_address

    async def start(self) -> None:
        """Start all parts; on an error those that run are stopped again.

        Raises:
            NearfieldError: what cannot be used or reached, in one line.
        """
        self._running.begin()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all parts, the newest first. Idempotent."""
        await self._running.stop()

    async def _start(self) -> None:
        key, running = read_signing_key(self._folder), self._running
        running.enter(held(self._folder))
        store, results = await self._open_store(), await self._open_results()
        identities = self.identities = await self._open_identities(store)
        blobs, hub = Blobs(self._folder.bundles), TailHub()
        await asyncio.to_thread(blobs.prepare)
        messaging = self._messaging = Messaging(self._config, self._folder, identities, self._topics)
        await messaging.open(running)
        places = LivePlaces(partial(relayed_place, store))
        relay = Relay(messaging.client.publish, self._topics, places.of)
        rollouts = rollout_controller(store, self._topics, utc_now, results.labels.truths)
        controller = self._controller(store, messaging, key, _each(places.forget, rollouts.wake))
        rollouts.on_issued = controller.wake
        self._connect(identities, messaging, controller)
        collector = self._collector(store, results, identities, messaging, key, hub, relay)
        messaging.subscribe((Kind.DURABLE,), collector.receive)
        commands = Commands(store, messaging.client, partial(_commanded, key), self._topics, utc_now, os.urandom)
        messaging.subscribe((Kind.REPLIES,), commands.on_message)
        collector.start()
        running.at_stop_aside(collector.stop)
        await messaging.start(running)
        running.background(controller.run(), "controller")
        running.background(rollouts.run(), "rollouts")
        publishing = await self._open_publishing(store, blobs, public_bytes(key), identities, controller)
        running.background(tidy_daily(publishing.registry), "registry")
        served = Served(
            store=store,
            results=results,
            hub=hub,
            topics=self._topics,
            identities=identities,
            publishing=publishing,
            commands=commands,
            facts=self._facts(public_bytes(key), messaging),
            link=lambda: messaging.link(relay.counts),
            now=utc_now,
            on_changed=_on_changed(messaging, controller, _each(places.forget, rollouts.wake)),
        )
        self._serving = Serving(self._config, served)
        await self._serving.start(running)

    async def _open_store(self) -> ControlStore:
        url = self._config.database or sqlite_url(self._folder.database)
        store = ControlStore(await asyncio.to_thread(open_engine, url))
        self._running.at_stop(store.close)
        await asyncio.to_thread(store.prepare)
        return store

    async def _open_results(self) -> ResultsDatabase:
        url = self._config.results_database or sqlite_url(self._folder.results_database)
        results = await asyncio.to_thread(open_results, url, self._config.results_retention_days)
        self._running.at_stop(results.close)
        return results

    async def _open_identities(self, store: ControlStore) -> Identities:
        identities = await asyncio.to_thread(Identities, self._config, self._folder, store, utc_now)
        await asyncio.to_thread(identities.prepare)
        self._running.background(identities.revocations.run(), "revocations")
        return identities

    async def _open_publishing(
        self, store: ControlStore, blobs: Blobs, key: bytes, identities: Identities, controller: Controller
    ) -> Publishing:
        authority = identities.authority.pem.decode()
        roots = TrustRoots(store, read_first_root(self._folder), key, controller.compare, authority)
        await asyncio.to_thread(roots.prepare)
        return Publishing(store, blobs, roots, utc_now, requirements(self._config))

    def _connect(self, identities: Identities, messaging: Messaging, controller: Controller) -> None:
        """Have the broker and the controller hear of each other, and of who may use the broker."""
        identities.access_settled = messaging.access.settle
        # nodes that the broker sends away cannot say that they are gone: the controller does
        identities.on_access_changed = _each(messaging.access.wake, controller.on_connected)
        messaging.client.when_connected(controller.on_connected)
        messaging.subscribe(SUBSCRIBED, controller.on_message)

    def _controller(
        self, store: ControlStore, messaging: Messaging, key: Ed25519PrivateKey, on_said: Callable[[], None]
    ) -> Controller:
        return Controller(
            comparison=Comparison(store, self._topics, utc_now),
            reports=ReportService(store, self._topics, utc_now),
            publisher=messaging.client,
            sign=lambda payload: seal(DESIRED, payload, key),
            topics=self._topics,
            on_said=on_said,
        )

    def _collector(
        self,
        store: ControlStore,
        results: ResultsDatabase,
        identities: Identities,
        messaging: Messaging,
        key: Ed25519PrivateKey,
        hub: TailHub,
        relay: Relay,
    ) -> Collector:
        return Collector(
            results.repository,
            messaging.client.publish,
            self._topics,
            key,
            hub,
            relay=relay,
            admits=AdmittedNodes(store, identities.revocations.is_revoked),
            follows=Succession(store),
            now=utc_now,
        )

    def _facts(self, key: bytes, messaging: Messaging) -> CoordinatorFacts:
        return CoordinatorFacts(
            version=__version__,
            broker_url=messaging.url,
            broker_kind=messaging.kind,
            topic_prefix=self._topics.prefix,
            trusted_keys=(key,),
            started_at=utc_now(),
        )


def _on_changed(
    messaging: Messaging, controller: Controller, heed: Callable[[], None]
) -> Callable[[Collection[NodeId]], None]:
    """Whom to tell, from any thread, that the desired state of nodes has changed."""
    loop = asyncio.get_running_loop()

    async def tell(nodes: Collection[NodeId]) -> None:
        heed()
        await messaging.access.settle()  # a node that is renamed may write under its new name before it hears of it
        controller.wake(nodes)

    def on_changed(nodes: Collection[NodeId]) -> None:
        asyncio.run_coroutine_threadsafe(tell(nodes), loop)

    return on_changed


def _commanded(key: Ed25519PrivateKey, payload: bytes) -> bytes:
    return seal(COMMAND, payload, key)


def _each(*callbacks: Callable[[], None]) -> Callable[[], None]:
    def call_each() -> None:
        for callback in callbacks:
            callback()

    return call_each
