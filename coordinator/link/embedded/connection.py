"""One client's connection: reads its packets, answers them, writes what the hub delivers.

A client has ten seconds to say CONNECT and, from then on, one and a half keep-alive periods for every whole packet, so
that connections that say nothing, or one byte now and then, end. What is not MQTT 3.1.1 ends the connection and
nothing else. So does the end of the client's certificate: it comes again with a newer one.

Who the client is, its certificate says; user name and password are not read. What it may do is asked of the hub for
every message, filter and will. A message that it may not publish is dropped and acknowledged, as Mosquitto does: a
client that is told nothing learns nothing, and one that resends for ever helps nobody.
"""

import asyncio
import logging
import time
from typing import Literal

from coordinator.link.access import Grants, allows
from coordinator.link.embedded import packets
from coordinator.link.embedded.hub import Hub
from coordinator.link.embedded.outgoing import Outgoing
from coordinator.link.embedded.packets import FLAGS, Connect, Malformed, Publish, Splitter, Type
from coordinator.link.tls import common_name, ends_at
from protos.principal import COORDINATOR

CONNECT_TIMEOUT_S = 10.0
PROTOCOL_LEVEL = 4
UNKNOWN_PROTOCOL, CLIENT_ID_REFUSED, NOT_AUTHORIZED = 1, 2, 5
NOT_GRANTED = 0x80
MAX_FILTERS = 1000
CERTIFICATE_CHECK_S = 3600.0
WAITING_BYTES = 8 * 1024 * 1024
"""for everyone but the coordinator, whose queue holds what a fleet sends while it is busy"""

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """The protocol object of one connection whose peer has shown its certificate."""

    def __init__(self, hub: Hub, max_packet: int, number: int) -> None:
        self._hub = hub
        self._number = number
        self._splitter = Splitter(max_packet)
        self._outgoing = Outgoing()
        self._out: list[bytes] = []
        self._writable = True
        self._open = True
        self._transport: asyncio.Transport | None = None
        self._patience_s: float | None = CONNECT_TIMEOUT_S
        self._timer: asyncio.TimerHandle | None = None
        self._end_of_certificate: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._connect: Connect | None = None
        self._will: Publish | None = None
        self._filters: set[str] = set()
        self._half_received: set[int] = set()
        """packet ids of QoS 2 messages whose PUBREL has not come"""
        self._grants = Grants()
        self.refused = 0
        """messages and filters of this client that the rules do not allow"""
        self.principal = ""
        self.client_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the identity from the certificate, and begin to wait for CONNECT."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        certificate = transport.get_extra_info("peercert")
        self.principal = common_name(certificate)
        if self.principal != COORDINATOR.common_name:
            self._outgoing = Outgoing(max_waiting_bytes=WAITING_BYTES)
        self._heard = asyncio.get_running_loop().time()
        if self._hub.enter(self):
            self._watch()
            self._watch_certificate(ends_at(certificate))
        else:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Handle every packet that is now complete, then write all that came of it."""
        try:
            for kind, flags, body in self._splitter.feed(data):
                if not self._open:
                    break
                self._heard = asyncio.get_running_loop().time()
                self._handle(kind, flags, body)
        except Malformed as error:
            log.info("the embedded broker ends the connection of client %r: %s", self.client_id, error)
            self._end()
        self._hub.flush()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side went, or was sent away."""
        del exc
        self._hub.exit(self)
        self._leave()
        self._hub.flush()

    def pause_writing(self) -> None:
        """The socket takes no more."""
        self._writable = False

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self._writable = True
        self.flush()

    def deliver(self, message: Publish) -> None:
        """Send a message at the next `flush`, or queue it; QoS 0 is dropped where the socket takes no more."""
        if not allows(self._grants.read, message.topic):
            return
        if message.qos:
            self._outgoing.put(message)
        elif self._writable:
            self._out.append(packets.publish(message))

    def flush(self) -> None:
        """Write answers and as many queued messages as the window allows."""
        while self._writable and (message := self._outgoing.take()) is not None:
            self._out.append(packets.publish(message))
            if len(self._out) >= 256:
                self._write()
        self._write()

    def access_changed(self) -> None:
        """The rules are others: this client's may be too. One that is let in no more ends, without its will."""
        grants = self._hub.grants_of(self.principal)
        if grants is None:
            self.abort()
            return
        self._grants = grants
        for topic_filter in [one for one in self._filters if not allows(grants.read, one)]:
            self._filters.discard(topic_filter)
            self._hub.subscriptions.remove(topic_filter, self)

    def abort(self) -> None:
        """End at once, without the will: the broker stops, or the client is let in no more."""
        self._will = None
        if self._transport is not None:
            self._transport.abort()

    def taken_over(self) -> None:
        """Another connection has the same client id."""
        self._end()
        self._leave()

    def _write(self) -> None:
        if self._out and self._transport is not None:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(data)

    def _end(self) -> None:
        """Write what is due and close; at once where the other side takes nothing."""
        self._open = False
        self._write()
        if self._transport is not None:
            (self._transport.close if self._writable else self._transport.abort)()

    def _leave(self) -> None:
        """Leave the hub, once."""
        self._open = False
        for timer in (self._timer, self._end_of_certificate):
            if timer is not None:
                timer.cancel()
        if self._connect is not None:
            self._connect = None
            will, self._will = self._will, None
            self._hub.leave(self, self._filters)
            if will is not None and self._may_publish(will.topic):
                self._hub.publish(will, self.principal)

    def _watch(self) -> None:
        """End a connection that has been silent for too long, else look again when that could be so."""
        if self._patience_s is None:
            return
        loop = asyncio.get_running_loop()
        left = self._heard + self._patience_s - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._watch)
        elif self._transport is not None:
            self._transport.abort()

    def _watch_certificate(self, ends: float) -> None:
        """End the connection with its certificate, else look again: the machine's clock may be set meanwhile."""
        left = ends - time.time()
        if left > 0:
            delay = min(left, CERTIFICATE_CHECK_S)
            self._end_of_certificate = asyncio.get_running_loop().call_later(delay, self._watch_certificate, ends)
        elif self._transport is not None:
            log.info("the embedded broker ends the connection of %s: its certificate has ended", self.principal)
            self._transport.abort()

    def _handle(self, kind: int, flags: int, body: bytes) -> None:
        if self._connect is None:
            if kind != Type.CONNECT:
                raise Malformed("the first packet is not CONNECT")
            self._on_connect(packets.read_connect(body))
        elif kind == Type.PUBLISH:
            self._on_publish(packets.read_publish(flags, body))
        elif kind == Type.PUBACK:
            self._outgoing.acknowledged(packets.Reader(body).short())
        elif flags != FLAGS.get(kind, 0):
            raise Malformed("reserved flags")
        else:
            self._on_other(kind, body)

    def _on_connect(self, connect: Connect) -> None:
        refused = UNKNOWN_PROTOCOL if connect.level != PROTOCOL_LEVEL else 0
        if not connect.client_id and not connect.clean:
            refused = refused or CLIENT_ID_REFUSED
        grants = self._hub.grants_of(self.principal)
        if grants is None:
            self._hub.tell(repr(self.principal), "is nobody who may be here")
            refused = refused or NOT_AUTHORIZED
        self._out.append(packets.connack(refused))
        if refused or grants is None:
            self._end()
            return
        self._connect, self._will, self._grants = connect, connect.will, grants
        self.client_id = connect.client_id or f"anonymous-{self._number}"
        self._patience_s = connect.keepalive_s * 1.5 or None
        if self._timer is not None:
            self._timer.cancel()
        self._watch()
        self._hub.join(self)

    def _on_publish(self, message: Publish) -> None:
        is_new = message.qos < 2 or message.packet_id not in self._half_received
        if is_new and self._may_publish(message.topic):
            self._hub.publish(message, self.principal)
        if message.qos == 1:
            self._out.append(packets.answer(Type.PUBACK, message.packet_id))
        elif message.qos == 2:
            self._half_received.add(message.packet_id)
            self._out.append(packets.answer(Type.PUBREC, message.packet_id))

    def _on_other(self, kind: int, body: bytes) -> None:
        if kind == Type.SUBSCRIBE:
            self._on_subscribe(*packets.read_subscribe(body))
        elif kind == Type.UNSUBSCRIBE:
            self._on_unsubscribe(*packets.read_unsubscribe(body))
        elif kind == Type.PINGREQ:
            self._out.append(packets.packet(Type.PINGRESP))
        elif kind == Type.PUBREL:
            packet_id = packets.Reader(body).short()
            self._half_received.discard(packet_id)
            self._out.append(packets.answer(Type.PUBCOMP, packet_id))
        elif kind == Type.DISCONNECT:
            self._will = None
            self._end()
        else:
            raise Malformed(f"a packet of type {kind}")

    def _on_subscribe(self, packet_id: int, filters: list[tuple[str, int]]) -> None:
        granted = [min(qos, 1) if self._may_subscribe(topic_filter) else NOT_GRANTED for topic_filter, qos in filters]
        self._out.append(packets.suback(packet_id, granted))
        for (topic_filter, _), qos in zip(filters, granted, strict=True):
            if qos != NOT_GRANTED:
                self._filters.add(topic_filter)
                self._hub.subscribe(self, topic_filter, qos)

    def _on_unsubscribe(self, packet_id: int, filters: list[str]) -> None:
        for topic_filter in filters:
            self._filters.discard(topic_filter)
            self._hub.subscriptions.remove(topic_filter, self)
        self._out.append(packets.answer(Type.UNSUBACK, packet_id))

    def _may_publish(self, topic: str) -> bool:
        return allows(self._grants.publish, topic) or self._refuse("may not publish to", topic)

    def _may_subscribe(self, topic_filter: str) -> bool:
        if len(self._filters) >= MAX_FILTERS:
            return self._refuse(f"has {MAX_FILTERS} subscriptions already: not", topic_filter)
        return allows(self._grants.read, topic_filter) or self._refuse("may not subscribe to", topic_filter)

    def _refuse(self, what: str, topic: str) -> Literal[False]:
        self.refused += 1
        if self.refused == 1:
            self._hub.tell(self.principal, what, topic)
        return False
