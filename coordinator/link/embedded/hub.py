"""What all connections of the broker share: who is there, who subscribed, what is retained. No socket.

Everything here runs on the broker's event loop.
"""

import logging
from typing import Protocol

from coordinator.link.embedded.packets import Publish
from coordinator.link.embedded.routing import Subscriptions, matches

MAX_RETAINED = 100_000

log = logging.getLogger(__name__)


class Client(Protocol):
    """A connection, as the hub knows it."""

    @property
    def client_id(self) -> str:
        """The id that it connected with."""

    def deliver(self, message: Publish) -> None:
        """Send a message, or queue it; written at the next `flush`."""

    def flush(self) -> None:
        """Write what was delivered."""

    def taken_over(self) -> None:
        """Another connection has the same client id: publish the will and end."""


class Hub:
    """Routes messages between connections."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.retained: dict[str, Publish] = {}
        self.subscriptions: Subscriptions[Client] = Subscriptions()
        self._unflushed: dict[Client, None] = {}

    def join(self, client: Client) -> None:
        """A client connected; an older connection of its id ends first."""
        older = self.clients.get(client.client_id)
        if older is not None:
            older.taken_over()
        self.clients[client.client_id] = client

    def leave(self, client: Client, filters: set[str], will: Publish | None) -> None:
        """A connection is over, with its subscriptions; its will, if it still has one, is published."""
        for topic_filter in filters:
            self.subscriptions.remove(topic_filter, client)
        self._unflushed.pop(client, None)
        if self.clients.get(client.client_id) is client:
            del self.clients[client.client_id]
        if will is not None:
            self.publish(will)

    def publish(self, message: Publish) -> None:
        """Retain it if it says so, and deliver it to everyone who subscribed."""
        if message.retain:
            self._retain(message)
        for client, qos in self.subscriptions.of(message.topic).items():
            client.deliver(Publish(message.topic, message.payload, min(qos, message.qos, 1), retain=False))
            self._unflushed[client] = None

    def subscribe(self, client: Client, topic_filter: str, qos: int) -> None:
        """Subscribe, and deliver the retained messages that match."""
        self.subscriptions.add(topic_filter, client, qos)
        for message in self._retained_for(topic_filter):
            client.deliver(Publish(message.topic, message.payload, min(qos, message.qos, 1), retain=True))
        self._unflushed[client] = None

    def flush(self) -> None:
        """Write to everyone who was delivered to: once per batch of packets, not per packet."""
        unflushed, self._unflushed = self._unflushed, {}
        for client in unflushed:
            client.flush()

    def _retain(self, message: Publish) -> None:
        if not message.payload:
            self.retained.pop(message.topic, None)
        elif message.topic in self.retained or len(self.retained) < MAX_RETAINED:
            self.retained[message.topic] = message
        else:
            log.warning("%d messages are retained: %s is not", MAX_RETAINED, message.topic)

    def _retained_for(self, topic_filter: str) -> list[Publish]:
        if "+" not in topic_filter and "#" not in topic_filter:
            exact = self.retained.get(topic_filter)
            return [] if exact is None else [exact]
        return [message for topic, message in self.retained.items() if matches(topic_filter, topic)]
