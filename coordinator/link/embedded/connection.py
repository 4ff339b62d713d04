"""One client's connection: reads its packets, answers them, writes what the hub delivers.

A client has ten seconds to say CONNECT and, from then on, one and a half keep-alive periods for every whole packet, so
that connections that say nothing, or one byte now and then, end. What is not MQTT 3.1.1 ends the connection and
nothing else.
"""

import asyncio
import logging
from collections.abc import Callable

from coordinator.link.embedded import packets
from coordinator.link.embedded.hub import Hub
from coordinator.link.embedded.outgoing import Outgoing
from coordinator.link.embedded.packets import FLAGS, Connect, Malformed, Publish, Splitter, Type

CONNECT_TIMEOUT_S = 10.0
PROTOCOL_LEVEL = 4
UNKNOWN_PROTOCOL, CLIENT_ID_REFUSED = 1, 2

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """The protocol object of one TCP connection."""

    def __init__(
        self, hub: Hub, max_packet: int, new_client_id: Callable[[], str], all_open: set["Connection"]
    ) -> None:
        self._hub = hub
        self._all_open = all_open
        self._new_client_id = new_client_id
        self._splitter = Splitter(max_packet)
        self._outgoing = Outgoing()
        self._out: list[bytes] = []
        self._writable = True
        self._open = True
        self._transport: asyncio.Transport | None = None
        self._patience_s: float | None = CONNECT_TIMEOUT_S
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._connect: Connect | None = None
        self._will: Publish | None = None
        self._filters: set[str] = set()
        self._half_received: set[int] = set()
        """packet ids of QoS 2 messages whose PUBREL has not come"""
        self.client_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for CONNECT."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._all_open.add(self)
        self._heard = asyncio.get_running_loop().time()
        self._watch()

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
        self._all_open.discard(self)
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

    def abort(self) -> None:
        """End at once: the broker stops."""
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
        if self._timer is not None:
            self._timer.cancel()
        if self._connect is not None:
            self._connect = None
            will, self._will = self._will, None
            self._hub.leave(self, self._filters, will)

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
        self._out.append(packets.connack(refused))
        if refused:
            self._end()
            return
        self._connect, self._will = connect, connect.will
        self.client_id = connect.client_id or self._new_client_id()
        self._patience_s = connect.keepalive_s * 1.5 or None
        if self._timer is not None:
            self._timer.cancel()
        self._watch()
        self._hub.join(self)

    def _on_publish(self, message: Publish) -> None:
        if message.qos < 2 or message.packet_id not in self._half_received:
            self._hub.publish(message)
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
        self._out.append(packets.suback(packet_id, [min(qos, 1) for _, qos in filters]))
        for topic_filter, qos in filters:
            self._filters.add(topic_filter)
            self._hub.subscribe(self, topic_filter, min(qos, 1))

    def _on_unsubscribe(self, packet_id: int, filters: list[str]) -> None:
        for topic_filter in filters:
            self._filters.discard(topic_filter)
            self._hub.subscriptions.remove(topic_filter, self)
        self._out.append(packets.answer(Type.UNSUBACK, packet_id))
