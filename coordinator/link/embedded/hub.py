"""What all connections of the broker share: who is there, who subscribed, what is retained. No socket.

Everything here runs on the broker's event loop.
"""

import logging
from collections import Counter
from typing import Protocol

from coordinator.link.access import AccessTable, Grants, grants_of
from coordinator.link.embedded.packets import Publish
from coordinator.link.embedded.routing import Subscriptions, matches
from protos.principal import COORDINATOR
from protos.topics import Topics

MAX_RETAINED = 100_000
MAX_RETAINED_EACH = 1000
"""of a principal other than the coordinator"""
MAX_CONNECTIONS_EACH = 10
"""of a principal: a dashboard in several windows, a node that is back before its old connection is given up"""

log = logging.getLogger(__name__)


class Client(Protocol):
    """A connection, as the hub knows it."""

    @property
    def principal(self) -> str:
        """The common name in its certificate."""

    @property
    def client_id(self) -> str:
        """The id that it connected with."""

    def deliver(self, message: Publish) -> None:
        """Send a message, or queue it; written at the next `flush`."""

    def flush(self) -> None:
        """Write what was delivered."""

    def taken_over(self) -> None:
        """Another connection of the same principal has the same client id: publish the will and end."""

    def access_changed(self) -> None:
        """Ask for the grants again."""

    def abort(self) -> None:
        """End at once."""


def session_of(client: Client) -> tuple[str, str]:
    """What a session is known by: its principal too, so that nobody can take over another's."""
    return client.principal, client.client_id


class Hub:
    """Routes messages between connections."""

    def __init__(self, table: AccessTable, topics: Topics) -> None:
        self._table = table
        self._topics = topics
        self._open: Counter[str] = Counter()
        self.connections: set[Client] = set()
        self.sessions: dict[tuple[str, str], Client] = {}
        self.retained: dict[str, Publish] = {}
        self._retained_of: dict[str, str] = {}
        self._retained_by: Counter[str] = Counter()
        self.subscriptions: Subscriptions[Client] = Subscriptions()
        self._unflushed: dict[Client, None] = {}
        self._told: set[tuple[str, str]] = set()

    def tell(self, principal: str, what: str, detail: str = "") -> None:
        """One line in the log for what a principal may not do, however often it tries."""
        if (principal, what) not in self._told:
            self._told.add((principal, what))
            log.warning("the embedded broker: %s %s %.100s", principal, what, detail)

    def grants_of(self, principal: str) -> Grants | None:
        """What a principal may do now; None: nothing, not even connect."""
        return grants_of(principal, self._table, self._topics)

    def set_access(self, table: AccessTable) -> None:
        """Other rules, for connections that exist too."""
        self._table = table
        self._told.clear()
        for client in list(self.connections):
            client.access_changed()
        self.flush()

    def enter(self, client: Client) -> bool:
        """A connection was made, with a certificate, whether or not it will say CONNECT; False: there are too many."""
        if self._open[client.principal] >= MAX_CONNECTIONS_EACH:
            self.tell(client.principal, f"has {MAX_CONNECTIONS_EACH} connections already")
            return False
        self._open[client.principal] += 1
        self.connections.add(client)
        return True

    def exit(self, client: Client) -> None:
        """A connection is over; without effect for one that never entered."""
        if client in self.connections:
            self.connections.discard(client)
            self._open[client.principal] -= 1
            self._open += Counter()  # forgets who has none

    def join(self, client: Client) -> None:
        """A client said CONNECT; an older connection of its session ends first."""
        session = session_of(client)
        older = self.sessions.get(session)
        if older is not None:
            older.taken_over()
        self.sessions[session] = client

    def leave(self, client: Client, filters: set[str]) -> None:
        """A client is gone, with its subscriptions."""
        for topic_filter in filters:
            self.subscriptions.remove(topic_filter, client)
        self._unflushed.pop(client, None)
        session = session_of(client)
        if self.sessions.get(session) is client:
            del self.sessions[session]

    def publish(self, message: Publish, principal: str) -> None:
        """Retain it if it says so, and deliver it to everyone who subscribed."""
        if message.retain:
            self._retain(message, principal)
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

    def _retain(self, message: Publish, principal: str) -> None:
        former = self._retained_of.pop(message.topic, None)
        if former is not None:
            del self.retained[message.topic]
            self._retained_by[former] -= 1
        if not message.payload:
            return
        full = len(self.retained) >= MAX_RETAINED or self._retained_by[principal] >= MAX_RETAINED_EACH
        if full and principal != COORDINATOR.common_name:
            self.tell(principal, "has too many retained messages; not kept:", message.topic)
            return
        self.retained[message.topic] = message
        self._retained_of[message.topic] = principal
        self._retained_by[principal] += 1

    def _retained_for(self, topic_filter: str) -> list[Publish]:
        if "+" not in topic_filter and "#" not in topic_filter:
            exact = self.retained.get(topic_filter)
            return [] if exact is None else [exact]
        return [message for topic, message in self.retained.items() if matches(topic_filter, topic)]
