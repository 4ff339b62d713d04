"""A command stands in the audit log as sent before it is sent, whatever becomes of it; its end is another entry."""

import json
from dataclasses import replace

import msgspec
import pytest

from coordinator.audit.acting import Pending, acting
from coordinator.audit.chain import Act
from coordinator.db.control import ControlStore
from coordinator.errors import Conflict, Unreachable
from coordinator.fleet.commands import Commands
from coordinator.fleet.presence import Connection, Presence
from protos.command import Command, Reply
from protos.topics import Kind, Topics
from tests.unit.fleet.examples import NOW, a_node


class Broker:
    """Sends nothing, and remembers how many entries the log had when it was asked to."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store
        self.entries_at_sending: list[int] = []

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """A command."""
        del topic, payload, qos, retain
        self.entries_at_sending.append(entries(self._store))
        return False

    def sweep(self, *_: object) -> bool:
        """Nothing is swept."""
        return False


def entries(store: ControlStore) -> int:
    return len(outcomes(store))


def outcomes(store: ControlStore) -> list[str]:
    with store.read() as tx:
        return [json.loads(entry.detail)["outcome"] for entry in tx.audit.after(0, 10)]


class Answering(Broker):
    """Sends, and the node answers at once."""

    def __init__(self, store: ControlStore) -> None:
        super().__init__(store)
        self.commands: Commands

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        super().publish(topic, payload, qos=qos, retain=retain)
        command = msgspec.json.decode(payload, type=Command)
        reply = msgspec.json.encode(Reply(command.node, command.nonce, True, ("a line",)))
        self.commands.on_message(Topics().of_node(command.node, Kind.REPLIES, command.nonce), reply, False)
        return True


@pytest.mark.parametrize(("presence", "error", "expected"), [("online", Unreachable, 1), ("offline", Conflict, 0)])
async def test_a_command_stands_in_the_log_before_it_is_sent_and_one_that_is_not_sent_does_not(
    presence: str, error: type[Exception], expected: int, store: ControlStore
) -> None:
    node = replace(a_node(), connection=Connection(Presence(presence)))
    with store.write() as tx:
        tx.nodes.put(node)
    broker = Broker(store)
    commands = Commands(store, broker, bytes, Topics(), lambda: NOW, bytes)
    acting.set(Pending(Act("operator:bob", "node.command", "cam-3", {}), NOW))
    with pytest.raises(error):
        await commands.run("cam-3", "logs", {})
    assert broker.entries_at_sending == [1] * expected
    assert outcomes(store) == ["sent"] * expected


async def test_a_command_that_was_answered_is_done_when_its_call_ends(store: ControlStore) -> None:
    with store.write() as tx:
        tx.nodes.put(replace(a_node(), connection=Connection(Presence.ONLINE)))
    broker = Answering(store)
    broker.commands = Commands(store, broker, bytes, Topics(), lambda: NOW, bytes)
    pending = Pending(Act("operator:bob", "node.command", "cam-3", {}), NOW)
    acting.set(pending)
    assert (await broker.commands.run("cam-3", "logs", {}))[1] == ("a line",)
    assert outcomes(store) == ["sent"]
    assert (pending.recorded, pending.act.outcome) == (False, "done")  # what AuditedCalls records at the end
