"""The uplink: the node's connection to its coordinator's broker.

    uplink = Uplink(broker, node, topics, on_connected=…, on_message=…)
    await uplink.start()
    uplink.publish(topics.of_node(node, Kind.HELLO), hello, qos=1, retain=False)

Presence: the will and the online message carry the same connection id, so that the will of an old connection, which
a broker may publish minutes late, cannot end the presence of a newer one. Whom to believe is the coordinator's
decision; here both are said. paho is behind `connection.py`, staying connected is `keeper.py`.
"""

import secrets
from collections.abc import Callable
from typing import Literal

import msgspec

from edge_node.link.connection import Message, Opening, Tls
from edge_node.link.gate import Gate
from edge_node.link.keeper import Keeper
from edge_node.link.session import DEFAULT_BACKOFF, Backoff
from protos.broker_url import Broker
from protos.identity import NodeId
from protos.reported import Status
from protos.topics import DELIVERY, FROM_COORDINATOR, NAMED, Kind, NodeTopic, Topics


class Uplink:
    """Stays connected, says who is there, and moves messages. Callbacks come on the event loop."""

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        topics: Topics,
        *,
        on_connected: Callable[[str], None],
        on_message: Callable[[NodeTopic, bytes], None],
        backoff: Backoff = DEFAULT_BACKOFF,
        gate: Gate | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._node = node
        self._topics = topics
        self._on_connected = on_connected
        self._on_message = on_message
        self.gate = Gate(topics) if gate is None else gate
        """what may leave; without one the contract alone, under which no tensor does"""
        self._keeper = Keeper(broker, self, backoff, self.gate, tls)

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

    async def stop(self) -> None:
        """Say that the node goes offline, disconnect, end."""
        await self._keeper.stop()

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Hand a message over. Thread-safe, never blocks.

        Returns:
            False when not connected or too much is under way: nothing was taken, try again after `on_connected`
            or a little later, unless the gate has a `refusal`. True is no promise either: only the coordinator's
            acknowledgement is.
        """
        return self._keeper.publish(topic, payload, qos=qos, retain=retain)

    def opening(self) -> Opening:
        """What the next connection says of itself."""
        connection = secrets.token_hex(8)
        return Opening(
            connection_id=connection,
            client_id=str(self._node),
            will=self._status("offline", connection),
            greeting=(self._status("online", connection),),
            subscriptions=tuple((self._filter(kind), _heard_at(kind)) for kind in sorted(FROM_COORDINATOR)),
            farewell=(self._status("offline", connection),),
        )

    def connected_as(self, connection_id: str) -> None:
        """The broker accepted the connection."""
        self._on_connected(connection_id)

    def received(self, topic: str, payload: bytes) -> None:
        """A message came; an empty one is a retained message being cleared and says nothing."""
        parsed = self._topics.parse(topic)
        if parsed is not None and parsed.node == self._node and payload:
            self._on_message(parsed, payload)

    def _status(self, state: Literal["online", "offline"], connection: str) -> Message:
        delivery = DELIVERY[Kind.STATUS]
        payload = msgspec.json.encode(Status(state=state, connection=connection))
        return Message(self._topics.of_node(self._node, Kind.STATUS), payload, delivery.qos, delivery.retain)

    def _filter(self, kind: Kind) -> str:
        return self._topics.of_node(self._node, kind, "+" if kind in NAMED else None)


def _heard_at(kind: Kind) -> int:
    """The quality of service to subscribe with. An acknowledgement that is lost with a connection is retained and comes
    with the next: confirming each would be an eighth of all that leaves a node with one camera.
    """
    return 0 if kind is Kind.ACKED else DELIVERY[kind].qos
