"""The node's side of the conversation with its coordinator, under one identity: what is said when, over which link.

hello and reported on every connect, reported whenever it changes, progress while something is under way, durable
results through the forwarder, live ones where the configuration has them go. What comes in is handed on.
What to believe is decided in `edge_node.store.trust` and `edge_node.outbox.acked`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edge_node.config import NodeConfig, live_way
from edge_node.link.address import live_broker, uplink_broker
from edge_node.link.connection import Tls
from edge_node.link.gate import Gate
from edge_node.link.live import Live, Nowhere, Sink, SiteBroker
from edge_node.link.mqtt import Uplink
from edge_node.membership.identity import Identity
from edge_node.outbox.forwarder import Forwarder
from edge_node.outbox.queue import Outbox
from edge_node.supervisor.status import LinkReport
from protos import deployment
from protos.command import Reply
from protos.metrics import Metrics
from protos.reported import Hello, Progress, Reported
from protos.topics import DELIVERY, Kind, NodeTopic, Topics

LIVE_WORDS = {
    "relayed": "relayed by the coordinator",
    "direct": "published over the uplink",
    "site": "published at the site's own broker",
    "off": "kept here (egress)",
}
"""What becomes of live results, by `LiveWay`."""


@dataclass(frozen=True)
class Ears:
    """Who hears what: the owner of the conversation. Called on the event loop."""

    connected: Callable[[], None]
    desired: Callable[[bytes], None]
    acked: Callable[[bytes], None]
    command: Callable[[bytes, str], None]
    """an envelope, and the nonce that its topic names"""
    hello: Callable[[str], Hello]
    """the hello to say on the connection of this id"""


class Contact:
    """The links of one identity. `name` and `site` are today's; what leaves passes the gate.

    `tls` is how it meets its coordinator's broker.

    Raises (the constructor):
        BadInput: an address or a password file is wrong.
    """

    def __init__(
        self, config: NodeConfig, identity: Identity, outbox: Outbox, ears: Ears, gate: Gate, tls: Tls
    ) -> None:
        self._identity = identity
        self._ears = ears
        self._gate = gate
        self._topics = Topics(identity.topic_prefix)
        self._name, self._site = identity.name, identity.site
        self._reported: Reported | None = None
        self._connection = ""
        self.uplink = Uplink(
            uplink_broker(config.broker or identity.broker_url, config.uplink),
            identity.node,
            self._topics,
            on_connected=self._on_connected,
            on_message=self._on_message,
            gate=gate,
            tls=None if config.uplink.ca_file else tls,
        )
        durable = self._topics.of_node(identity.node, Kind.DURABLE)
        self.forwarder = Forwarder(
            outbox,
            self.uplink.publish,
            node=identity.node,
            topic=durable,
            former=identity.former,
            may_leave=lambda message: gate.refusal(durable, message) is None,
        )
        self._live_way = live_way(config.live, config.egress)
        self.site_broker = self._site_broker(config)
        relayed = self._live_way == "relayed"
        self.live = Live(self._live_sink(), self._topics, self._site, self._name, relayed=relayed)
        self._forwarding: asyncio.Task[None] | None = None

    def topic(self, pipeline: str) -> str:
        """The live topic of a pipeline, also the source of its events."""
        return self._topics.live(self._site, self._name, pipeline)

    async def start(self) -> None:
        """Begin to connect and to send."""
        await self.uplink.start()
        if self.site_broker is not None:
            await self.site_broker.start()
        self._forwarding = asyncio.create_task(self.forwarder.run(), name="forwarder")

    async def stop(self) -> None:
        """Say goodbye and end. What the outbox holds stays there."""
        if self._forwarding is not None:
            self._forwarding.cancel()
            await asyncio.gather(self._forwarding, return_exceptions=True)
        self.live.offline()
        if self.site_broker is not None:
            await self.site_broker.stop()
        await self.uplink.stop()

    def call(self, site: str, name: str) -> None:
        """Go by another name from now on; what was retained under the old one is cleared."""
        if (site, name) == (self._site, self._name):
            return
        self._site, self._name = site, name
        self.live.call(site, name)
        if self.site_broker is not None:
            self.site_broker.call(self._topics.availability(site, name))

    def report(self, reported: Reported) -> None:
        """Publish the node's state where it differs from what was said last."""
        said = self._reported
        if said is not None and msgspec.structs.replace(said, at=reported.at) == reported:
            return
        if self._say(Kind.REPORTED, reported):
            self._reported = reported

    def hello(self) -> None:
        """Say what the node holds, so that the coordinator can repair what it has of it."""
        self._say(Kind.HELLO, self._ears.hello(self._connection))

    def progress(self, progress: Progress) -> None:
        """Say what is under way; nobody waits for it."""
        self._say(Kind.PROGRESS, progress)

    def metrics(self, metrics: Metrics) -> None:
        """Say what was counted; nobody waits for it."""
        self._say(Kind.METRICS, metrics)

    def reply(self, reply: Reply) -> None:
        """Answer a command."""
        self._say(Kind.REPLIES, reply, reply.nonce)

    def publish_live(
        self, pipeline: str, wanted: deployment.Live, event: bytes, outputs: Sequence[Any], stored: bool
    ) -> None:
        """Publish a fresh result under today's names, as far as that is the node's to do."""
        self.live.publish(pipeline, wanted, event, outputs, stored)

    def link_report(self, registration: str) -> LinkReport:
        """How the connections stand."""
        live = LIVE_WORDS[self._live_way] if self.site_broker is None else self.site_broker.state
        return LinkReport(self.uplink.connected, self.uplink.state, registration, live)

    def _say(self, kind: Kind, message: msgspec.Struct, name: str | None = None) -> bool:
        payload, delivery = msgspec.json.encode(message), DELIVERY[kind]
        topic = self._topics.of_node(self._identity.node, kind, name)
        return self.uplink.publish(topic, payload, qos=delivery.qos, retain=delivery.retain)

    def _on_connected(self, connection: str) -> None:
        self._reported = None  # a broker may have lost what is retained
        self._connection = connection
        self.hello()
        self.forwarder.connected()
        if self.site_broker is None:
            self.live.on_connected()
        self._ears.connected()

    def _on_site_broker_connected(self) -> None:
        self.live.on_connected()

    def _on_message(self, topic: NodeTopic, payload: bytes) -> None:
        if topic.kind is Kind.DESIRED:
            self._ears.desired(payload)
        elif topic.kind is Kind.ACKED:
            self._ears.acked(payload)
        elif topic.kind is Kind.COMMANDS and topic.name is not None:
            self._ears.command(payload, topic.name)

    def _live_sink(self) -> Sink:
        if self._live_way == "off":
            return Nowhere()
        return self.uplink if self.site_broker is None else self.site_broker

    def _site_broker(self, config: NodeConfig) -> SiteBroker | None:
        broker = live_broker(config.live) if self._live_way == "site" else None
        if broker is None:
            return None
        return SiteBroker(
            broker,
            self._identity.node,
            self._topics.availability(self._site, self._name),
            on_connected=self._on_site_broker_connected,
            gate=self._gate,
        )
