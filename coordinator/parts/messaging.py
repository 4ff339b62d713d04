"""The broker, and the coordinator's place at it: its own or another's, who may use it, and the client.

messaging = Messaging(config, folder, identities, topics)
await messaging.open(running)             # the own broker runs
messaging.subscribe((Kind.HELLO,), handler)
await messaging.start(running)            # the client connects
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal

from coordinator.api.facts import BrokerLink
from coordinator.config import CoordinatorConfig
from coordinator.folder import Folder
from coordinator.link.access_control import AccessControl
from coordinator.link.broker import BrokerClient, Handler, broker_of, own_identity
from coordinator.link.own_broker import BrokerSettings, OwnBroker, own_broker
from coordinator.link.tls import TlsFiles
from coordinator.parts.identities import Identities
from coordinator.parts.running import Running
from protos.topics import DELIVERY, Kind, Topics


class Messaging:
    """`client` and `access` are known after `open`, as are `url` (where nodes and subscribers connect) and `kind`."""

    client: BrokerClient
    access: AccessControl

    def __init__(self, config: CoordinatorConfig, folder: Folder, identities: Identities, topics: Topics) -> None:
        self.url = ""
        self.kind: Literal["managed", "embedded", "external"] = "external"
        self._config = config
        self._folder = folder
        self._identities = identities
        self._topics = topics
        self._files = TlsFiles(folder.authorities, folder.server_certificate, folder.server_key)

    @property
    def words(self) -> str:
        """What kind of broker it is, and that an external one has not answered yet."""
        waiting = self.kind == "external" and not self.client.connected
        return f"{self.kind}, not connected yet" if waiting else self.kind

    async def open(self, running: Running) -> None:
        """Start the own broker, where the configuration names no other, and prepare the client."""
        named = broker_of(self._config, self._files)
        own = None if named is not None else await self._start_own(running)
        address = own_identity(own.url, self._files) if own is not None else named
        assert address is not None  # without one the coordinator has its own
        self.url = address.safe_url if own is None else own.url
        renewed = (lambda: None) if own is None else own.renew
        running.background(self._identities.keep_certificate(renewed), "certificate")
        self.client = BrokerClient(address)
        manages = address.server_name is not None
        self.access = AccessControl(self._identities.access, self.client, own, self._topics, manages=manages)

    async def start(self, running: Running) -> None:
        """Connect, and tell the broker who may use it."""
        await running.run(self.client.start, self.client.stop)
        running.background(self.access.run(), "access")

    def subscribe(self, kinds: Iterable[Kind], handler: Handler) -> None:
        """Have a handler called with what nodes say; before `start`."""
        for kind in kinds:
            self.client.subscribe(self._topics.from_all_nodes(kind), DELIVERY[kind].qos, handler)

    def link(self, live: Mapping[str, int]) -> BrokerLink:
        """How the connection stands, with what the relay of live results has counted."""
        relayed, dropped = live.get("relayed", 0), live.get("dropped", 0)
        return BrokerLink(self.client.connected, self.client.state, relayed, dropped)

    async def _start_own(self, running: Running) -> OwnBroker:
        table = await asyncio.to_thread(self._identities.access)
        host, port = self._config.host, self._config.broker_port
        broker = own_broker(
            self._config.own_broker,
            BrokerSettings(self._folder.broker, host, port, self._files, self._topics, table),
        )
        await running.run(broker.start, broker.stop)
        self.kind = broker.kind
        return broker
