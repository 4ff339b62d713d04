"""Commands to nodes: signed, sent, and their replies awaited. What a node accepts is its own decision.

commands = Commands(store, publisher, sign, topics, now, random)
subscribe(topics.from_all_nodes(Kind.REPLIES), commands.on_message)
lines = await commands.run("cam-3", Verb.LOGS, {"lines": "50"})
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from coordinator.audit.acting import answered, sent
from coordinator.errors import BadInput, Conflict, NearfieldError, Unreachable
from coordinator.fleet.controller import Publisher
from coordinator.fleet.naming import find_node
from coordinator.fleet.presence import Presence
from coordinator.fleet.records import Node
from coordinator.fleet.store import Store
from protos.command import LIFETIME, Command, Reply, Verb
from protos.identity import ID_BYTES, NodeId
from protos.topics import DELIVERY, Kind, Topics

PATIENCE_S = 15.0
MAX_WAITING = 100


class Commands:
    """`run` on the event loop, `on_message` from any thread.

    Args:
        store: where nodes are kept.
        publisher: the way to the broker.
        sign: seals the payload of a command.
        topics: of the broker.
        now: the clock.
        random: so many random bytes.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        sign: Callable[[bytes], bytes],
        topics: Topics,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._sign = sign
        self._topics = topics
        self._now = now
        self._random = random
        self._waiting: dict[tuple[NodeId, str], asyncio.Future[Reply]] = {}

    async def run(
        self, reference: str, verb: str, arguments: Mapping[str, str], patience_s: float = PATIENCE_S
    ) -> tuple[NodeId, tuple[str, ...]]:
        """The node and the lines that it answers.

        Raises:
            NotFound, BadInput: no node is called that, or several are; there is no such verb.
            Conflict: the node is offline.
            Unreachable: it did not answer in time, or there is no broker.
            NearfieldError: it could not carry the command out; its own line.
        """
        if verb not in Verb.__members__.values():
            raise BadInput(f"no command {verb!r}: there are {', '.join(Verb)}")
        if len(self._waiting) >= MAX_WAITING:
            raise Conflict(f"{MAX_WAITING} commands wait for their replies: try again in a moment")
        node = await asyncio.to_thread(self._online, reference)
        reply = await self._replied(self._command(node.id, verb, arguments), node, patience_s)
        if not reply.ok:
            raise NearfieldError(f"node {node.full_name}: {' '.join(reply.lines)}")
        answered()
        return node.id, reply.lines

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        """A reply; one that nobody waits for, or that says another node or nonce than its topic, is not looked at."""
        parsed = self._topics.parse(topic)
        if parsed is None or parsed.name is None or retained:
            return
        waiting = self._waiting.get((parsed.node, parsed.name))
        if waiting is None:
            return
        try:
            reply = msgspec.json.decode(payload, type=Reply)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if (reply.node, reply.nonce) == (parsed.node, parsed.name):
            waiting.get_loop().call_soon_threadsafe(_settle, waiting, reply)

    def _online(self, reference: str) -> Node:
        """The node; from then on the act stands in the audit log as sent, whatever becomes of it."""
        sent()
        with self._store.write() as tx:  # nothing but the log's entry
            node = find_node(reference, tx.nodes.all())
            if node.connection.presence is not Presence.ONLINE:
                raise Conflict(
                    f"node {node.full_name} is {node.connection.presence}: commands reach nodes that are online"
                )
        return node

    def _command(self, node: NodeId, verb: str, arguments: Mapping[str, str]) -> Command:
        now = self._now()
        return Command(node, self._random(ID_BYTES).hex(), now, now + LIFETIME, verb, dict(arguments))

    async def _replied(self, command: Command, node: Node, patience_s: float) -> Reply:
        key, delivery = (command.node, command.nonce), DELIVERY[Kind.COMMANDS]
        topic = self._topics.of_node(command.node, Kind.COMMANDS, command.nonce)
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            sealed = self._sign(msgspec.json.encode(command))
            if not self._publisher.publish(topic, sealed, qos=delivery.qos, retain=delivery.retain):
                raise Unreachable("the broker is not connected: no command can be sent")
            async with asyncio.timeout(patience_s):
                return await waiting
        except TimeoutError:
            raise Unreachable(
                f"node {node.full_name} did not answer within {patience_s:.0f} s: its log says whether it refused the "
                "command (a clock that is wrong, a coordinator that it does not trust)"
            ) from None
        finally:
            del self._waiting[key]


def _settle(waiting: "asyncio.Future[Reply]", reply: Reply) -> None:
    if not waiting.done():
        waiting.set_result(reply)
