"""The coordinator whole: its broker, its command, its databases, its end."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from coordinator.app import Coordinator
from coordinator.authority.certificates import CLIENT
from coordinator.authority.files import read_authority
from coordinator.authority.keys import key_pem, new_key
from coordinator.cli.secret_file import write_secret
from coordinator.errors import BadInput
from coordinator.folder import Folder, read_signing_key
from coordinator.link.broker import BrokerClient, own_identity
from coordinator.link.tls import TlsFiles
from protos.broker_url import Broker, parse_broker_url
from protos.desired import Desired
from protos.digest import digest_of
from protos.envelope import DESIRED, open_sealed, public_bytes
from protos.fleet.v1.node_pb2 import GetNodeRequest, Node, RegisterNodeReply
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub
from protos.identity import NodeId, stream_id
from protos.reported import Facts, Hello, Status
from protos.topics import Kind, Topics
from tests.conformance.broker_world import with_observer
from tests.coordinators import TLS, admin, edgectl, enrolled, registered, running_coordinator

TOPICS = Topics()
COMMAND = (sys.executable, "-m", "coordinator")
PORTS = ("--host", "127.0.0.1", "--port", "0", "--enroll-port", "0", "--broker-port", "0", "--no-announce")

pytestmark = pytest.mark.needs("mosquitto")


class Watcher:
    """A client that remembers what the broker retains."""

    def __init__(self, broker: Broker) -> None:
        self.client = BrokerClient(broker)
        self.client.subscribe("edge/v1/#", 1, self._on_message)
        self.retained: dict[str, bytes] = {}
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def _on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        self._loop.call_soon_threadsafe(self._remember, topic, payload)

    def _remember(self, topic: str, payload: bytes) -> None:
        self.retained[topic] = payload
        self.retained = {topic: kept for topic, kept in self.retained.items() if kept}
        self.changed.set()

    async def desired(self, coordinator_folder: Path, node: NodeId, revision: int) -> Desired:
        """The node's document of a revision, once it is there and its signature holds."""
        trusted = frozenset({public_bytes(read_signing_key(Folder(coordinator_folder)))})
        while True:
            sealed = self.retained.get(TOPICS.of_node(node, Kind.DESIRED))
            if sealed is not None:
                document = msgspec.json.decode(open_sealed(sealed, DESIRED, trusted), type=Desired)
                if document.revision == revision:
                    return document
            await self._next()

    async def only(self, topics: set[str]) -> None:
        """Until nothing but these topics is retained."""
        while self.retained.keys() != topics:
            await self._next()

    async def having(self, topics: Collection[str]) -> None:
        """Until at least these topics are retained."""
        while not self.retained.keys() >= set(topics):
            await self._next()

    async def _next(self) -> None:
        self.changed.clear()
        await self.changed.wait()


@pytest.fixture(autouse=True)
def observer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Own brokers let a tester in who sees everything: on Mosquitto the coordinator's login has one connection."""
    with_observer(monkeypatch)


@asynccontextmanager
async def watching(coordinator: Coordinator) -> AsyncIterator[Watcher]:
    """A watcher for the block."""
    watcher = Watcher(own_identity(coordinator.broker_url, observer_files(coordinator.folder)))
    await watcher.client.start()
    try:
        yield watcher
    finally:
        await watcher.client.stop()


def observer_files(folder: Folder) -> TlsFiles:
    """The observer's login."""
    made, key = folder.root / "observer", new_key()
    made.mkdir(exist_ok=True)
    authority = read_authority(folder)
    issued = authority.issue(key.public_key(), "tester-observer", CLIENT, timedelta(hours=1), datetime.now(UTC))
    (made / "certificate").write_bytes(issued.pem)
    (made / "key").write_bytes(key_pem(key))
    return TlsFiles(folder.authorities, made / "certificate", made / "key")


async def register(coordinator: Coordinator, name: str = "cam-3") -> RegisterNodeReply:
    """A new node that has said its facts."""
    return await registered(coordinator, await enrolled(coordinator, name))


async def node_of(coordinator: Coordinator, reference: str) -> Node:
    """A node as the coordinator knows it."""
    async with admin(coordinator) as channel:
        stub = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
        node: Node = await stub.GetNode(GetNodeRequest(node=reference))
        return node


async def push_and_apply(coordinator: Coordinator, folder: Path) -> None:
    """Model m version 1, deployed to the site."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "m.onnx").write_bytes(b"model")
    toml = 'name = "m"\ntask = "tensor"\n[[variants]]\nfile = "m.onnx"\nengine = "stub"\n'
    (bundle / "model.toml").write_text(toml)
    deployment = folder / "shelf.yaml"
    pipelines = "[{name: shelf, source: shelf, live: {state: [label]}, egress: {tensor: 4096}}]"
    deployment.write_text(f"name: shelf\nselector: site=store-12\nmodel: m@1\npipelines: {pipelines}\n")
    assert await edgectl(coordinator, "model", "push", str(bundle)) == 0
    assert await edgectl(coordinator, "deployment", "apply", str(deployment)) == 0


@pytest.mark.parametrize("own_broker", ["mosquitto", "embedded"])
async def test_a_deployment_becomes_a_signed_retained_document(own_broker: str, tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    running = running_coordinator(folder, own_broker=own_broker)
    async with running as coordinator, watching(coordinator) as watcher:
        reply = await register(coordinator)
        assert (reply.broker_url, reply.topic_prefix) == (coordinator.broker_url, "edge/v1")
        await watcher.desired(folder, NodeId(reply.node_id), 1)
        await push_and_apply(coordinator, tmp_path)
        document = await watcher.desired(folder, NodeId(reply.node_id), 2)
    (deployment,) = document.deployments
    assert (deployment.model, deployment.version) == ("m", 1)
    assert (document.name, document.site, document.epoch) == ("cam-3", "store-12", 1)


async def test_a_renamed_node_hears_it_and_a_deleted_one_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    async with running_coordinator(folder) as coordinator, watching(coordinator) as watcher:
        node = NodeId((await register(coordinator)).node_id)
        await push_and_apply(coordinator, tmp_path)
        kinds = (Kind.STATUS, Kind.REPORTED, Kind.ACKED)
        leftovers = [TOPICS.of_node(node, kind) for kind in kinds]
        leftovers += [
            TOPICS.availability("store-12", "cam-3"),
            TOPICS.live_state("store-12", "cam-3", "shelf", "label"),
        ]
        for topic in leftovers:
            watcher.client.publish(topic, b"{}", qos=1, retain=True)
        await watcher.having(leftovers)
        await edgectl(coordinator, "node", "rename", "cam-3", "cam-4")
        assert (await watcher.desired(folder, node, 3)).name == "cam-4"
        await edgectl(coordinator, "node", "delete", "cam-4")
        await watcher.only(set())


async def test_a_broker_that_was_wiped_is_repaired_by_a_nodes_hello(tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    async with running_coordinator(folder) as coordinator, watching(coordinator) as watcher:
        node = NodeId((await register(coordinator)).node_id)
        await watcher.desired(folder, node, 1)
        watcher.client.publish(TOPICS.of_node(node, Kind.DESIRED), b"", qos=1, retain=True)
        await watcher.only(set())
        hello = Hello(node, "c1", "0.1", Facts(), digest_of(b"older"), 1, 0, stream_id(bytes(16)), 0)
        watcher.client.publish(TOPICS.of_node(node, Kind.HELLO), msgspec.json.encode(hello), qos=1, retain=False)
        await watcher.desired(folder, node, 1)
        assert (await node_of(coordinator, node)).presence == "online"


@pytest.mark.parametrize("own_broker", ["mosquitto", "embedded"])
async def test_a_node_that_dies_is_said_to_be_offline_on_its_live_topic(own_broker: str, tmp_path: Path) -> None:
    availability = TOPICS.availability("store-12", "cam-3")
    running = running_coordinator(tmp_path, own_broker=own_broker)
    async with running as coordinator, watching(coordinator) as watcher:
        enrolled_node = await enrolled(coordinator)
        node = enrolled_node.id
        agent = Client(CallbackAPIVersion.VERSION2)
        write_secret(tmp_path / "node.pem", enrolled_node.credential.pem)
        agent.tls_set(str(coordinator.folder.authorities), str(tmp_path / "node.pem"), str(tmp_path / "node.pem"))
        status = TOPICS.of_node(node, Kind.STATUS)
        agent.will_set(status, msgspec.json.encode(Status("offline", "c1")), 1, retain=True)
        broker = parse_broker_url(coordinator.broker_url)
        agent.connect(broker.host, broker.port)
        agent.publish(status, msgspec.json.encode(Status("online", "c1")), 1, retain=True)
        agent.publish(availability, b"online", 1, retain=True)
        agent.loop_start()
        await watcher.having((status, availability))
        while (await node_of(coordinator, node)).presence != "online":  # noqa: ASYNC110 - asked over gRPC
            await asyncio.sleep(0.01)
        agent.loop_stop()
        connection = agent.socket()
        assert isinstance(connection, socket.socket)
        connection.close()
        while watcher.retained.get(availability) != b"offline":
            await watcher._next()


async def test_presence_is_known_again_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    async with running_coordinator(folder) as coordinator, watching(coordinator) as watcher:
        node = (await register(coordinator)).node_id
        online = msgspec.json.encode(Status("online", "c1"))
        watcher.client.publish(TOPICS.of_node(NodeId(node), Kind.STATUS), online, qos=1, retain=True)
        while (await node_of(coordinator, node)).presence != "online":  # noqa: ASYNC110 - asked over gRPC
            await asyncio.sleep(0.01)
    async with running_coordinator(folder) as coordinator:
        assert (await node_of(coordinator, "cam-3")).node_id == node


@pytest.mark.needs("postgres")
async def test_control_data_and_results_may_share_one_postgres_database(postgres_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    databases = {"database": postgres_url, "results_database": postgres_url}
    for _ in range(2):  # a second start migrates nothing and finds everything
        async with running_coordinator(folder, own_broker="embedded", **databases) as coordinator:
            await register(coordinator, f"cam-{_}")
            assert await edgectl(coordinator, "status") == 0
            assert (await node_of(coordinator, "cam-0")).site == "store-12"
    assert not (folder / "coordinator.db").exists()


async def test_health_is_served(tmp_path: Path) -> None:
    async with (
        running_coordinator(tmp_path, own_broker="embedded") as coordinator,
        admin(coordinator) as channel,
    ):
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def test_nobody_can_wait_at_the_health_service_nor_fill_the_log_by_trying(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        stranger = grpc.ssl_channel_credentials(coordinator.folder.authorities.read_bytes())  # no certificate
        async with grpc.aio.secure_channel(coordinator.enrollment_address, stranger, options=TLS) as channel:
            calls = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(20)]
            codes = {await asyncio.wait_for(call.code(), 10) for call in calls}
    assert codes == {grpc.StatusCode.UNIMPLEMENTED}
    assert not [record for record in caplog.records if "Watch" in record.getMessage()]


async def test_a_port_in_use_is_named_with_the_option_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"127.0.0.1:{port} is in use.*--port"):
            async with running_coordinator(tmp_path, port=port):
                pass


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`edge-coordinator serve` as a process, and the line that says that it is ready."""
    command = [*COMMAND, "serve", "--dir", str(folder), *PORTS, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """`edge-coordinator` to its end."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_is_and_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    assert run("init", "--dir", str(tmp_path)).returncode == 0
    with serving(tmp_path) as (process, line):
        place = r"127\.0\.0\.1:\d+"
        pattern = rf"coordinator {place} · enrollment {place} · broker mqtts://{place} \(managed\)\n"
        assert re.fullmatch(pattern, line)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_what_init_and_serve_make_is_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    before = os.umask(0o022)  # as systems have it
    try:
        run("init", "--dir", str(folder))
        with serving(folder):
            made = {path: path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))}
        (tmp_path / "another file").touch()
    finally:
        os.umask(before)
    assert folder / "coordinator.db" in made
    assert {path.name: oct(mode) for path, mode in made.items() if mode} == {}
    assert (tmp_path / "another file").stat().st_mode & 0o044, "the control arm: others could read by default"


def test_init_keeps_keys_and_configuration_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "coordinator"
    assert "is ready" in run("init", "--dir", str(folder), "--port", "7171").stdout
    key, config = folder / "keys" / "signing.key", folder / "coordinator.toml"
    before = key.read_bytes(), config.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert run("init", "--dir", str(folder)).returncode == 0
    other = run("init", "--dir", str(folder), "--port", "7272")
    assert (other.returncode, other.stderr.count("\n")) == (4, 1)
    assert before == (key.read_bytes(), config.read_bytes())


@pytest.mark.parametrize(
    ("arguments", "spoil", "code", "complaint"),
    [
        (("serve",), lambda folder: (folder / "coordinator.toml").unlink(), 1, "run edge-coordinator init"),
        (("serve",), lambda folder: (folder / "coordinator.toml").write_text("prot = 1"), 1, "did you mean 'port'"),
        (("serve",), lambda folder: (folder / "keys" / "signing.key").unlink(), 1, "signing.key is missing"),
        (("serve",), lambda folder: (folder / "keys" / "signing.key").write_text("?"), 1, "is not a signing key"),
        (("serve",), lambda folder: (folder / "keys" / "signing.key").chmod(0o644), 4, "may be read by others"),
        (("serve", "--database", "mysql://h/d"), lambda _: None, 1, "'mysql' is not supported"),
        (("serve", "--database", "postgresql://h@127.0.0.1:1/d"), lambda _: None, 3, "postgresql://h@127.0.0.1:1/d"),
        (("serve", "--broker", "http://h"), lambda _: None, 1, "is not a broker URL"),
        (("serve", "--log-level", "loud"), lambda _: None, 2, "'loud'"),
        (("serve", "--port", "99999"), lambda _: None, 2, "'99999' is not a port: write a number from 0 to 65535"),
        (("init", "--broker-port", "-1"), lambda _: None, 2, "--broker-port: '-1' is not a port"),
        (("serve",), lambda folder: (folder / "coordinator.toml").write_text("port = 65536"), 1, "65535"),
        (("serve",), lambda folder: (folder / "coordinator.lock").mkdir(), 1, "coordinator.lock: Is a directory"),
    ],
)
def test_what_a_person_did_wrong_is_one_line(
    arguments: tuple[str, ...], spoil: object, code: int, complaint: str, tmp_path: Path
) -> None:
    assert run("init", "--dir", str(tmp_path), *PORTS).returncode == 0
    assert callable(spoil)
    spoil(tmp_path)
    done = run(*arguments, "--dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
