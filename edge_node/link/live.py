"""Live results: fresh ones only, one per message, for people and machines that subscribe.

    live = Live(uplink, topics, site, name, relayed=True)      # call on_connected from the uplink's callback
    live = Live(SiteBroker(broker, …), topics, site, name)     # or over the site's own broker
    live.publish("shelf", pipeline.live, event, outputs, stored=True)

Where results are relayed, the coordinator publishes what it has committed, so that each result leaves once; here go
only those that the outbox could not take. Availability and states are the node's own word in every case: a retained
message has one writer.

There is no backlog: what cannot leave now is dropped and counted, and a connection's queue dies with it. States are
published when they change, and again after every connect (a broker may have lost them); what is to be deleted is
deleted then at the latest.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from edge_node.link.connection import Message, Opening
from edge_node.link.gate import Gate
from edge_node.link.keeper import Keeper
from edge_node.link.live_state import live_states
from edge_node.link.session import DEFAULT_BACKOFF, Backoff
from protos import deployment
from protos.broker_url import Broker
from protos.identity import NodeId
from protos.topics import MAX_PAYLOAD, Topics

ONLINE, OFFLINE = b"online", b"offline"


class Sink(Protocol):
    """Where live results go: the uplink or a `SiteBroker`."""

    @property
    def connected(self) -> bool:
        """Whether a message would leave now."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over; False when it was not taken."""


class Nowhere:
    """A sink that takes nothing: the node's configuration keeps live results on the device."""

    connected = False

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:  # noqa: ARG002 (a Sink)
        """Take nothing."""
        return False


class Live:
    """The live topics of one node under today's names. Used on the event loop."""

    def __init__(self, sink: Sink, topics: Topics, site: str, name: str, *, relayed: bool = False) -> None:
        self._sink = sink
        self._relayed = relayed
        self._topics = topics
        self._site = site
        self._name = name
        self._retained: dict[str, bytes] = {}
        self._unsaid: set[str] = set()
        self._gone: list[str] = []
        self.published = 0
        self.dropped = 0
        """Results that were not published: not connected, too much under way, or not to leave."""

    def publish(
        self, pipeline: str, wanted: deployment.Live, event: bytes, outputs: Sequence[Any], stored: bool
    ) -> None:
        """Publish one fresh result, where nobody else does, and what it changes of the pipeline's states.

        `stored` is false of a result that the outbox could not take: live is all it gets.
        """
        if not wanted.enabled:
            return
        if not (self._relayed and stored):
            self._send(self._topics.live(self._site, self._name, pipeline), event, wanted.qos)
        if wanted.state:
            for state, value in live_states(wanted.state, outputs).items():
                self._retain(self._topics.live_state(self._site, self._name, pipeline, state), value)

    def on_connected(self) -> None:
        """Say that the node is there, and every state again."""
        self._delete_gone()
        self._retained, known = {}, self._retained
        known[self._topics.availability(self._site, self._name)] = ONLINE
        for topic, value in known.items():
            self._retain(topic, value)

    def offline(self) -> None:
        """Say that the node goes away, on purpose."""
        self._retain(self._topics.availability(self._site, self._name), OFFLINE)

    def call(self, site: str, name: str) -> None:
        """Go by another name from now on; what was retained under the old one is deleted."""
        self.clear()
        self._site, self._name = site, name
        self.on_connected()

    def clear(self, pipeline: str | None = None) -> None:
        """Delete the retained messages of a pipeline that is no more, or all of them."""
        head = self._topics.live(self._site, self._name, pipeline) + "/" if pipeline else ""
        gone = [topic for topic in self._retained if topic.startswith(head)]
        self._retained = {topic: value for topic, value in self._retained.items() if topic not in gone}
        self._gone += gone
        self._delete_gone()

    def _send(self, topic: str, event: bytes, qos: int) -> None:
        if len(event) <= MAX_PAYLOAD and self._sink.publish(topic, event, qos=qos, retain=False):
            self.published += 1
        else:
            self.dropped += 1

    def _delete_gone(self) -> None:
        self._gone = [topic for topic in self._gone if not self._sink.publish(topic, b"", qos=1, retain=True)]

    def _retain(self, topic: str, value: bytes) -> None:
        """Publish a retained value that is new, or that did not leave the last time."""
        if self._retained.get(topic) != value or topic in self._unsaid:
            said = self._sink.publish(topic, value, qos=1, retain=True)
            self._retained[topic] = value
            self._gone = [gone for gone in self._gone if gone != topic]
            (self._unsaid.discard if said else self._unsaid.add)(topic)


class SiteBroker:
    """A second connection, to the broker that live results go to. Its will says that the node is gone."""

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        availability: str,
        *,
        on_connected: Callable[[], None],
        backoff: Backoff = DEFAULT_BACKOFF,
        gate: Gate | None = None,
    ) -> None:
        self._node = node
        self._availability = availability
        self._former: frozenset[str] = frozenset()
        self._on_connected = on_connected
        self._keeper = Keeper(broker, self, backoff, Gate(Topics()) if gate is None else gate)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._keeper.connected

    @property
    def state(self) -> str:
        """One line for people: connected, or why not."""
        return self._keeper.state

    async def start(self) -> None:
        """Begin to connect, in the background, and go on for ever."""
        await self._keeper.start()

    def call(self, availability: str) -> None:
        """Say under another topic whether the node is there: on a new connection, for a will cannot be changed."""
        self._former = (self._former | {self._availability}) - {availability}
        self._availability = availability
        self._keeper.renew()

    async def stop(self) -> None:
        """Say that the node goes offline, disconnect, end."""
        await self._keeper.stop()

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over; False when it was not taken."""
        return self._keeper.publish(topic, payload, qos=qos, retain=retain)

    def opening(self) -> Opening:
        """What the next connection says of itself."""
        gone = Message(self._availability, OFFLINE, 1, retain=True)
        return Opening(connection_id="live", client_id=f"{self._node}-live", will=gone, farewell=(gone,))

    def connected_as(self, connection_id: str) -> None:
        """The broker accepted the connection. A former one that broke instead of ending has left its will."""
        del connection_id
        self._former = frozenset(topic for topic in self._former if not self.publish(topic, b"", qos=1, retain=True))
        self._on_connected()

    def received(self, topic: str, payload: bytes) -> None:
        """Nothing is subscribed to."""
