"""The loop between the database and the broker, with a real database and a broker of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from coordinator.db.control import ControlStore
from coordinator.fleet.comparison import Comparison
from coordinator.fleet.controller import MAX_WAITING, Controller
from coordinator.fleet.deployments import DeploymentService
from coordinator.fleet.nodes import NodeService, Registration
from coordinator.fleet.presence import Presence
from coordinator.fleet.records import Node
from coordinator.fleet.reports import Due, ReportService
from protos.deployment import Deployment, Live, Pipeline
from protos.desired import Desired
from protos.digest import Digest, digest_of
from protos.identity import NodeId, stream_id
from protos.reported import Facts, Hello, Reported, Status
from protos.topics import Kind, Topics
from tests.unit.fleet.examples import MANIFEST, NOW

TOPICS = Topics()
SPEC = Deployment("shelf", "site=store-12", "m@1", (Pipeline("shelf", "shelf", live=Live(state=("label",))),))


class RetainingBroker:
    """What a broker retains, and whether it can be reached."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.reachable = True
        self.published: list[str] = []
        self.on_publish: Callable[[], object] = lambda: None

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Retain, or forget on an empty payload."""
        assert qos == 1
        assert retain
        self.on_publish()
        if self.reachable:
            self.published.append(topic)
            self.retained[topic] = payload
            self.retained = {topic: kept for topic, kept in self.retained.items() if kept}
        return self.reachable

    def sweep(self, topic_filter: str, spared: Callable[[], Collection[str]]) -> bool:
        """Forget what is retained below, as the broker's client has it forgotten."""
        if self.reachable:
            below, in_use = topic_filter.removesuffix("#"), spared()
            self.retained = {
                topic: kept for topic, kept in self.retained.items() if topic in in_use or not topic.startswith(below)
            }
        return self.reachable


class World:
    """Services, a controller that runs, and a broker."""

    def __init__(self, store: ControlStore) -> None:
        self.store = store
        self.broker = RetainingBroker()
        self.controller = Controller(
            Comparison(store, TOPICS, lambda: NOW),
            ReportService(store, TOPICS, lambda: NOW),
            self.broker,
            bytes,
            TOPICS,
        )
        self.nodes = NodeService(store, TOPICS, lambda: NOW, self.controller.wake)
        self.deployments = DeploymentService(
            store, TOPICS, lambda: NOW, self.controller.wake, lambda _model, _version: MANIFEST
        )

    def register(self, name: str = "cam-3", node: str = "01" * 16) -> Node:
        """A node."""
        return self.nodes.register(Registration(NodeId(node), name, "store-12", facts=Facts(sources=("shelf",))))

    def says(self, node: NodeId, kind: Kind, message: msgspec.Struct) -> None:
        """A message of a node arrives."""
        self.controller.on_message(TOPICS.of_node(node, kind), msgspec.json.encode(message), False)

    def hello(self, node: NodeId, digest: Digest | None, revision: int = 1, epoch: int = 1) -> Hello:
        """What a node says on connect."""
        return Hello(node, "c1", "1", Facts(), digest, epoch, revision, stream_id(bytes(16)), 0)

    def retained(self, node: NodeId) -> Desired | None:
        """The desired document that the broker retains."""
        payload = self.broker.retained.get(TOPICS.of_node(node, Kind.DESIRED))
        return None if payload is None else msgspec.json.decode(payload, type=Desired)

    def held(self, node: NodeId) -> Digest:
        """The digest of what the broker retains."""
        return digest_of(self.broker.retained[TOPICS.of_node(node, Kind.DESIRED)])

    def known(self, node: NodeId) -> Node:
        """The node's row."""
        with self.store.read() as tx:
            found = tx.nodes.get(node)
        assert found is not None
        return found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The controller runs for the block."""
        task = asyncio.create_task(self.controller.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def world(store: ControlStore) -> World:
    """A coordinator's control side without its transports; model m has version 1."""
    return World(store)


async def until(condition: object) -> None:
    """Wait for a condition; the test's own timeout is the limit."""
    assert callable(condition)
    while not condition():  # noqa: ASYNC110 - conditions are on rows and on a stub, nobody signals them
        await asyncio.sleep(0.005)


async def test_a_node_that_registers_gets_its_document(world: World) -> None:
    async with world.running():
        node = await asyncio.to_thread(world.register)
        await until(lambda: world.retained(node.id))
    document = world.retained(node.id)
    assert document is not None
    assert (document.epoch, document.revision, document.name, document.deployments) == (1, 1, "cam-3", ())


async def test_a_deployment_reaches_the_nodes_that_it_selects(world: World) -> None:
    node = world.register()
    async with world.running():
        await asyncio.to_thread(world.deployments.apply, SPEC, dry_run=False)
        await until(lambda: (document := world.retained(node.id)) and document.revision == 2)
    document = world.retained(node.id)
    assert document is not None
    assert [deployment.name for deployment in document.deployments] == ["shelf"]


async def test_a_broker_that_lost_everything_is_repaired_when_the_node_says_what_it_holds(world: World) -> None:
    node = world.register()
    async with world.running():
        await until(lambda: world.retained(node.id))
        held = world.held(node.id)
        world.broker.retained.clear()
        world.says(node.id, Kind.HELLO, world.hello(node.id, held))
        await until(lambda: world.known(node.id).held_digest == held)
        assert world.retained(node.id) is None
        world.says(node.id, Kind.HELLO, world.hello(node.id, None))
        await until(lambda: world.retained(node.id))


async def test_what_could_not_be_published_is_published_when_the_broker_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.fleet.controller.RETRY_AFTER_S", 0.01)
    node = world.register()
    world.broker.reachable = False
    async with world.running():
        await asyncio.sleep(0.05)
        assert world.retained(node.id) is None
        world.broker.reachable = True
        await until(lambda: world.retained(node.id))


async def test_a_coordinator_that_starts_publishes_what_nodes_do_not_hold(world: World) -> None:
    node = world.register()
    async with world.running():
        await until(lambda: world.retained(node.id))


async def test_presence_follows_status_and_an_old_will_changes_nothing(world: World) -> None:
    node = world.register().id
    async with world.running():
        world.says(node, Kind.STATUS, Status("online", "c2"))
        await until(lambda: world.known(node).connection.presence is Presence.ONLINE)
        world.says(node, Kind.STATUS, Status("offline", "c1"))
        world.says(node, Kind.REPORTED, Reported(node, 1, 1, None, "t"))
        await until(lambda: world.known(node).reported)
        assert world.known(node).connection.presence is Presence.ONLINE
        world.says(node, Kind.STATUS, Status("offline", "c2"))
        await until(lambda: world.known(node).connection.presence is Presence.OFFLINE)


async def test_a_node_that_holds_newer_than_was_issued_raises_the_epoch_for_all(world: World) -> None:
    first = world.register().id
    second = NodeId("b" * 32)
    world.register("cam-4", second)
    async with world.running():
        world.says(first, Kind.HELLO, world.hello(first, digest_of(b"of tomorrow"), revision=9))
        await until(lambda: (one := world.retained(first)) and one.epoch == 2)
        await until(lambda: (one := world.retained(second)) and one.epoch == 2)


async def test_a_message_that_is_none_is_ignored(world: World) -> None:
    node = world.register().id
    async with world.running():
        for payload in (b"{", b"[]", b"\xff", b'{"state":"asleep","connection":"c"}'):
            world.controller.on_message(TOPICS.of_node(node, Kind.STATUS), payload, False)
        world.controller.on_message("edge/v1/nodes/nobody/status", b"{}", False)
        world.controller.on_message("elsewhere", b"{}", False)
        world.says(node, Kind.STATUS, Status("online", "c1"))
        await until(lambda: world.known(node).connection.presence is Presence.ONLINE)


async def test_a_message_that_no_parser_can_take_does_not_end_the_coordinator(world: World) -> None:
    node = world.register().id
    deep = b'{"x":' * 15_000 + b"1" + b"}" * 15_000
    async with world.running():
        for kind in (Kind.STATUS, Kind.HELLO, Kind.REPORTED):
            world.controller.on_message(TOPICS.of_node(node, kind), deep, False)
        world.says(node, Kind.STATUS, Status("online", "c1"))
        await until(lambda: world.known(node).connection.presence is Presence.ONLINE)


async def test_a_node_that_never_stops_talking_does_not_keep_documents_back(world: World) -> None:
    chatty = world.register("chatty", "c" * 32).id
    status = TOPICS.of_node(chatty, Kind.STATUS), msgspec.json.encode(Status("online", "c1")), False
    taken = world.controller._take

    def take(topic: str, payload: bytes) -> Due:
        world.controller.on_message(*status)
        return taken(topic, payload)

    world.controller._take = take  # type: ignore[method-assign]
    async with world.running():
        world.controller.on_message(*status)
        await until(lambda: world.retained(chatty))


async def test_documents_that_grew_too_large_by_themselves_do_not_end_the_coordinator(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.register().id
    monkeypatch.setattr("coordinator.fleet.documents.MAX_DOCUMENT", 1)
    async with world.running():
        world.says(node, Kind.HELLO, world.hello(node, digest_of(b"of tomorrow"), revision=9))
        await until(lambda: (one := world.retained(node)) and one.epoch == 2)


async def test_a_document_that_changes_while_its_older_one_is_published_is_published_too(world: World) -> None:
    node = world.register().id

    def rename_once() -> None:
        world.broker.on_publish = lambda: None
        world.nodes.rename("cam-3", "cam-4", "")

    async with world.running():
        world.broker.on_publish = rename_once
        world.controller.wake((node,))
        await until(lambda: (document := world.retained(node)) and document.name == "cam-4")


async def test_a_node_that_died_is_said_to_be_offline_and_online_again_when_it_is_back(world: World) -> None:
    node = world.register().id
    topic = TOPICS.availability("store-12", "cam-3")
    async with world.running():
        world.says(node, Kind.STATUS, Status("online", "c1"))
        await until(lambda: world.known(node).connection.presence is Presence.ONLINE)
        assert topic not in world.broker.published
        world.says(node, Kind.STATUS, Status("offline", "c1"))
        await until(lambda: world.broker.retained.get(topic) == b"offline")
        world.says(node, Kind.HELLO, world.hello(node, None))
        await until(lambda: world.broker.retained.get(topic) == b"online")


async def test_a_broker_that_comes_back_hears_again_who_is_offline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.fleet.controller.SETTLE_S", 0.0)
    node = world.register().id
    topic = TOPICS.availability("store-12", "cam-3")
    async with world.running():
        world.says(node, Kind.STATUS, Status("offline", "c1"))
        await until(lambda: world.broker.retained.get(topic) == b"offline")
        world.broker.retained.clear()
        world.controller.on_connected()
        await until(lambda: world.broker.retained.get(topic) == b"offline")


async def test_a_topic_that_could_not_be_cleared_is_cleared_when_the_broker_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.fleet.controller.RETRY_AFTER_S", 0.01)
    node = world.register().id
    async with world.running():
        await until(lambda: world.retained(node))
        world.broker.reachable = False
        await asyncio.to_thread(world.nodes.delete, "cam-3")
        await asyncio.sleep(0.05)
        world.broker.reachable = True
        await until(lambda: not world.broker.retained)


async def test_a_node_that_is_renamed_hears_it_and_its_old_live_topics_are_cleared(world: World) -> None:
    node = world.register().id
    old = TOPICS.availability("store-12", "cam-3")
    world.broker.retained[old] = b"online"
    async with world.running():
        await until(lambda: world.retained(node))
        await asyncio.to_thread(world.nodes.rename, "cam-3", "cam-4", "")
        await until(lambda: (document := world.retained(node)) and document.name == "cam-4")
        await until(lambda: old not in world.broker.retained)


async def test_a_name_that_is_taken_back_is_not_cleared_any_more(world: World) -> None:
    world.broker.reachable = False
    node = world.register().id
    await asyncio.to_thread(world.nodes.rename, "cam-3", "cam-4", "")
    await asyncio.to_thread(world.nodes.rename, "cam-4", "cam-3", "")
    with world.store.read() as tx:
        topics = [topic for topic in tx.retained.pending() if not topic.endswith("#")]
    assert topics == [TOPICS.availability("store-12", "cam-4")]
    held = TOPICS.availability("store-12", "cam-3")
    world.broker.retained = {held: b"online", TOPICS.live("store-12", "cam-3", "shelf"): b"left by who was here before"}
    world.broker.reachable = True
    async with world.running():
        await until(lambda: set(world.broker.retained) <= {held, TOPICS.of_node(node, Kind.DESIRED)})
    assert held in world.broker.retained


async def test_deleting_a_node_leaves_no_retained_message_behind(world: World) -> None:
    node = world.register().id
    await asyncio.to_thread(world.deployments.apply, SPEC, dry_run=False)
    kept = {TOPICS.of_node(node, kind): b"x" for kind in (Kind.STATUS, Kind.REPORTED, Kind.ACKED)}
    live = {
        TOPICS.availability("store-12", "cam-3"): b"online",
        TOPICS.live_state("store-12", "cam-3", "shelf", "label"): b"macaw",
    }
    world.broker.retained.update(kept | live)
    async with world.running():
        await until(lambda: world.retained(node))
        await asyncio.to_thread(world.nodes.delete, "cam-3")
        await until(lambda: not world.broker.retained)


async def test_what_a_deleted_node_still_writes_is_cleared_again(world: World) -> None:
    node = world.register().id
    async with world.running():
        await asyncio.to_thread(world.nodes.delete, "cam-3")
        await until(lambda: TOPICS.of_node(node, Kind.STATUS) in world.broker.published)
        world.broker.retained[TOPICS.of_node(node, Kind.STATUS)] = b"x"
        world.broker.retained[TOPICS.availability("store-12", "cam-3")] = b"offline"
        world.says(node, Kind.STATUS, Status("offline", "c1"))
        await until(lambda: not world.broker.retained)


async def test_what_a_deleted_node_wrote_under_a_name_that_is_taken_again_is_left_alone(world: World) -> None:
    old = world.register().id
    await asyncio.to_thread(world.nodes.delete, "cam-3")
    await asyncio.to_thread(world.register, "cam-3", "b" * 32)
    availability = TOPICS.availability("store-12", "cam-3")
    async with world.running():
        world.broker.retained[availability] = b"online"
        world.says(old, Kind.STATUS, Status("offline", "c1"))
        await until(lambda: TOPICS.of_node(old, Kind.STATUS) in world.broker.published)
        assert world.broker.retained[availability] == b"online"


async def test_a_pipeline_that_goes_takes_its_last_values_along(world: World) -> None:
    world.register()
    await asyncio.to_thread(world.deployments.apply, SPEC, dry_run=False)
    label = TOPICS.live_state("store-12", "cam-3", "shelf", "label")
    world.broker.retained[label] = b"macaw"
    async with world.running():
        await asyncio.to_thread(world.deployments.delete, "shelf")
        await until(lambda: label not in world.broker.retained)


async def test_a_node_that_refused_its_document_is_not_sent_it_again_and_again(world: World) -> None:
    node = world.register()
    refused = Reported(node.id, 1, 0, None, "t", refusal="not signed by a key that is trusted here")
    with world.store.write() as tx:
        tx.nodes.put(replace(node, reported=refused, last_seen=NOW + timedelta(seconds=1)))
    assert Comparison(world.store, TOPICS, lambda: NOW).outdated() == ()


async def test_messages_beyond_the_bound_are_dropped_and_counted(world: World) -> None:
    for _ in range(MAX_WAITING + 3):
        world.controller.on_message("edge/v1/nodes/x/status", b"{}", False)
    assert world.controller.dropped == 3


async def test_a_topic_that_is_cleared_is_no_message(world: World) -> None:
    node = world.register().id
    async with world.running():
        world.controller.on_message(TOPICS.of_node(node, Kind.STATUS), b"", True)
        await until(lambda: world.retained(node))
    assert world.known(node).connection.presence is Presence.UNKNOWN
