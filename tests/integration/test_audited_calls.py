"""What callers do over gRPC stands in the audit log, also what fails or is refused; what they only read does not."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from coordinator.api.access import ALLOWED
from coordinator.api.audited import ACTS, SERVICE, AuditedCalls
from coordinator.api.errors import Context, ErrorsToStatus
from coordinator.audit.chain import Entry
from coordinator.audit.log import AuditLog
from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.errors import NotFound, Refused
from protos.fleet.v1 import (
    access_pb2,
    artifact_pb2,
    artifact_pb2_grpc,
    deployment_pb2,
    enrollment_pb2,
    model_pb2,
    node_pb2,
    node_pb2_grpc,
    result_pb2,
    rollout_pb2,
    trust_pb2,
)

BEGUN = datetime(2026, 5, 1, 10, tzinfo=UTC)


class World:
    """A server with one service, and its log."""

    def __init__(self, store: ControlStore) -> None:
        self.store = store
        self.now = BEGUN
        self.log = AuditLog(store, lambda: self.now)

    def entries(self) -> list[Entry]:
        """All entries."""
        return list(self.log.entries(0, 0))

    def outcomes(self) -> list[tuple[str, str, str]]:
        """Action, subject and outcome of all entries."""
        return [(one.action, one.subject, json.loads(one.detail)["outcome"]) for one in self.entries()]


class Nodes(node_pb2_grpc.NodeServiceServicer):
    """Renames in the database, fails and refuses on demand."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def RenameNode(self, request: node_pb2.RenameNodeRequest, context: Context) -> node_pb2.Node:  # noqa: N802
        """Write, unless the name says otherwise."""
        if request.name == "missing":
            raise NotFound("no node missing")
        if request.name != "same":
            with self._world.store.write() as tx:
                tx.raise_epoch(9)
        return node_pb2.Node(name=request.name)

    async def GetNode(self, request: node_pb2.GetNodeRequest, context: Context) -> node_pb2.Node:  # noqa: N802
        """Read, or refuse."""
        if request.node == "secret":
            raise Refused("viewers may not")
        return node_pb2.Node()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with an empty log."""
    store = ControlStore(open_engine(sqlite_url(tmp_path / "control.db")))
    store.prepare()
    yield World(store)
    store.close()


@contextlib.asynccontextmanager
async def served(world: World, add: Callable[[grpc.aio.Server], None]) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose calls are audited."""
    audited = AuditedCalls(world.log, lambda _context: "operator:bob", lambda: world.now)
    server = grpc.aio.server(interceptors=(ErrorsToStatus(), audited))
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.fixture
async def nodes(world: World) -> AsyncIterator[node_pb2_grpc.NodeServiceStub]:
    """A stub of the served service."""
    add = node_pb2_grpc.add_NodeServiceServicer_to_server
    async with served(world, lambda server: add(Nodes(world), server)) as channel:  # type: ignore[no-untyped-call]
        yield node_pb2_grpc.NodeServiceStub(channel)  # type: ignore[no-untyped-call]


async def test_an_act_is_recorded_once_with_who_did_it_and_what_was_asked(
    world: World, nodes: node_pb2_grpc.NodeServiceStub
) -> None:
    await nodes.RenameNode(node_pb2.RenameNodeRequest(node="cam-3", name="till-3"))
    [entry] = world.entries()
    assert (entry.actor, entry.action, entry.subject) == ("operator:bob", "node.rename", "cam-3")
    assert json.loads(entry.detail) == {"node": "cam-3", "name": "till-3", "outcome": "done"}


async def test_an_act_that_changes_nothing_is_recorded_too_and_a_failure_as_that(
    world: World, nodes: node_pb2_grpc.NodeServiceStub
) -> None:
    await nodes.RenameNode(node_pb2.RenameNodeRequest(node="cam-3", name="same"))
    with pytest.raises(grpc.aio.AioRpcError):
        await nodes.RenameNode(node_pb2.RenameNodeRequest(node="cam-3", name="missing"))
    assert world.outcomes() == [("node.rename", "cam-3", "done"), ("node.rename", "cam-3", "no node missing")]


async def test_reading_is_not_recorded_unless_it_is_refused(world: World, nodes: node_pb2_grpc.NodeServiceStub) -> None:
    await nodes.GetNode(node_pb2.GetNodeRequest(node="cam-3"))
    assert world.entries() == []
    with pytest.raises(grpc.aio.AioRpcError):
        await nodes.GetNode(node_pb2.GetNodeRequest(node="secret"))
    assert world.outcomes() == [("node.getnode", "", "viewers may not")]


async def test_refusals_of_one_caller_are_recorded_once_a_minute(
    world: World, nodes: node_pb2_grpc.NodeServiceStub
) -> None:
    for seconds in (0, 1, 59, 61, 62):
        world.now = BEGUN + timedelta(seconds=seconds)
        with pytest.raises(grpc.aio.AioRpcError):
            await nodes.GetNode(node_pb2.GetNodeRequest(node="secret"))
    assert len(world.entries()) == 2


async def push(channel: grpc.aio.Channel) -> object:
    requests = [artifact_pb2.PushBlobRequest()]
    return await artifact_pb2_grpc.ArtifactServiceStub(channel).PushBlob(iter(requests))  # type: ignore[no-untyped-call]


async def fetch(channel: grpc.aio.Channel) -> object:
    stub = artifact_pb2_grpc.ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
    return [one async for one in stub.FetchBlob(artifact_pb2.FetchBlobRequest())]


@pytest.mark.parametrize(("call", "action"), [(push, "artifact.pushblob"), (fetch, "artifact.fetchblob")])
async def test_a_stream_that_is_refused_is_recorded_once_a_minute_and_one_that_is_served_is_not(
    call: Callable[[grpc.aio.Channel], Awaitable[object]], action: str, world: World
) -> None:
    refuse = True

    class Artifacts(artifact_pb2_grpc.ArtifactServiceServicer):
        async def PushBlob(  # noqa: N802
            self, requests: object, context: Context
        ) -> artifact_pb2.BlobStat:
            if refuse:
                raise Refused("viewers may not")
            return artifact_pb2.BlobStat()

        async def FetchBlob(  # noqa: N802
            self, request: artifact_pb2.FetchBlobRequest, context: Context
        ) -> AsyncIterator[artifact_pb2.Chunk]:
            if refuse:
                raise Refused("viewers may not")
            yield artifact_pb2.Chunk()

    add = artifact_pb2_grpc.add_ArtifactServiceServicer_to_server
    async with served(world, lambda server: add(Artifacts(), server)) as channel:  # type: ignore[no-untyped-call]
        for seconds in (0, 1, 61):
            world.now = BEGUN + timedelta(seconds=seconds)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call(channel)
            assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert world.outcomes() == [(action, "", "viewers may not")] * 2
        assert world.entries()[0].actor == "operator:bob"
        refuse = False
        await call(channel)  # the control arm
    assert len(world.entries()) == 2


ENROLLMENT = enrollment_pb2.DESCRIPTOR.services_by_name["EnrollmentService"]
READS = {
    "NodeService/RegisterNode",  # a node says again what it is
    "NodeService/ListNodes",
    "NodeService/GetNode",
    "ArtifactService/StatBlob",
    "ArtifactService/PushBlob",  # content; what becomes of it is a publication
    "ArtifactService/FetchBlob",
    "ArtifactService/GetManifest",
    "ModelService/ListModels",
    "ModelService/GetVersion",
    "ModelService/VerifyVersion",
    "TrustService/GetTrust",
    "DeploymentService/ListDeployments",
    "DeploymentService/GetDeployment",
    "RolloutService/PlanRollout",
    "RolloutService/ListRollouts",
    "RolloutService/GetRollout",
    "ResultService/QueryResults",
    "ResultService/TailResults",
    "ResultService/CountResults",
    "ResultService/GetAccuracy",
    "SystemService/GetStatus",
    "AccessService/ListJoinTokens",
    "AccessService/ListCredentials",
    "AuditService/ListEntries",
    "EnrollmentService/GetAuthority",
    "EnrollmentService/GetChallenge",
}


def test_every_method_is_either_an_act_or_only_reads() -> None:
    methods = ALLOWED.keys() | {f"EnrollmentService/{name}" for name in ENROLLMENT.methods_by_name}
    assert methods == READS | ACTS.keys()
    assert READS.isdisjoint(ACTS)


def test_every_act_is_a_method_that_there_is_and_names_its_subject() -> None:
    files = (node_pb2, deployment_pb2, model_pb2, enrollment_pb2, access_pb2, trust_pb2, rollout_pb2, result_pb2)
    services = {name: service for file in files for name, service in file.DESCRIPTOR.services_by_name.items()}
    for method, (_, subject) in ACTS.items():
        service, _, name = method.partition("/")
        request = services[service].methods_by_name[name].input_type
        assert isinstance(subject(request._concrete_class()), str), SERVICE + method
