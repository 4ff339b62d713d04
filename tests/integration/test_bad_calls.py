"""Whatever comes over gRPC: refused in one line that can travel, and the coordinator goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from coordinator.app import Coordinator
from protos.digest import digest_of
from protos.fleet.v1.artifact_pb2 import FetchBlobRequest, PushBlobRequest, StatBlobRequest
from protos.fleet.v1.artifact_pb2_grpc import ArtifactServiceStub
from protos.fleet.v1.deployment_pb2 import ApplyDeploymentRequest
from protos.fleet.v1.deployment_pb2_grpc import DeploymentServiceStub
from protos.fleet.v1.model_pb2 import PublishVersionRequest
from protos.fleet.v1.model_pb2_grpc import ModelServiceStub
from protos.fleet.v1.node_pb2 import GetNodeRequest, ListNodesRequest, RegisterNodeRequest
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub
from tests.coordinators import TLS, admin, administrator, channel_of, enrolled, running_coordinator, tls

MEGABYTE = 10**6
DEEP = '{"x":' * 15_000 + "1" + "}" * 15_000
DIGEST = digest_of(b"abc")
INVALID, ABSENT, REFUSED = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED

Call = Callable[[grpc.aio.Channel], Any]


def pushed(*messages: PushBlobRequest) -> Call:
    """A push of these messages."""
    return lambda channel: ArtifactServiceStub(channel).PushBlob(iter(messages))  # type: ignore[no-untyped-call]


def stat(digest: str) -> Call:
    """What is held of a blob."""
    return lambda channel: ArtifactServiceStub(channel).StatBlob(StatBlobRequest(digest=digest))  # type: ignore[no-untyped-call]


def registered(**fields: Any) -> Call:
    """What a node says of itself."""
    request = RegisterNodeRequest(**{"name": "n", "site": "s", **fields})
    return lambda channel: NodeServiceStub(channel).RegisterNode(request)  # type: ignore[no-untyped-call]


def listed(selector: str) -> Call:
    """The nodes of a selector."""
    return lambda channel: NodeServiceStub(channel).ListNodes(ListNodesRequest(selector=selector))  # type: ignore[no-untyped-call]


def applied(text: str) -> Call:
    """A deployment."""
    request = ApplyDeploymentRequest(spec_json=text)
    return lambda channel: DeploymentServiceStub(channel).ApplyDeployment(request)  # type: ignore[no-untyped-call]


def published(manifest: bytes) -> Call:
    """A version."""
    request = PublishVersionRequest(model="m", manifest=manifest)
    return lambda channel: ModelServiceStub(channel).PublishVersion(request)  # type: ignore[no-untyped-call]


def spec(**fields: Any) -> str:
    """A deployment's JSON."""
    return json.dumps(
        {"name": "d", "selector": "", "model": "m@1", "pipelines": [{"name": "p", "source": "s"}], **fields}
    )


CALLS: dict[str, tuple[Call, StatusCode]] = {
    "a digest that climbs": (stat("sha256:../../../etc/passwd"), INVALID),
    "a digest of a megabyte": (stat("x" * MEGABYTE), INVALID),
    "a push of nothing": (pushed(), INVALID),
    "a push of other content": (pushed(PushBlobRequest(digest=DIGEST, size=3, data=b"abd")), INVALID),
    "a push of more than announced": (pushed(PushBlobRequest(digest=DIGEST, size=3, data=b"abcd")), INVALID),
    "a push of a monster": (pushed(PushBlobRequest(digest=DIGEST, size=2**64 - 1)), REFUSED),
    "a push from beyond": (pushed(PushBlobRequest(digest=DIGEST, size=3, offset=2**63)), INVALID),
    "a manifest that is none": (published(b"\xff"), INVALID),
    "a manifest that is deep": (published(DEEP.encode()), INVALID),
    "a manifest of two megabytes": (published(b" " * 2 * MEGABYTE), INVALID),
    "a name of a megabyte": (registered(name="a" * MEGABYTE), INVALID),
    "a thousand labels": (registered(labels={f"k{number}": "v" for number in range(1000)}), INVALID),
    "facts of a megabyte": (registered(facts_json=json.dumps({"hostname": "h" * MEGABYTE})), INVALID),
    "facts that are deep": (registered(facts_json=DEEP), INVALID),
    "a selector of a megabyte": (listed("a," * MEGABYTE), INVALID),
    "a deployment that is deep": (applied(DEEP), INVALID),
    "a version beyond all numbers": (applied(spec(model="m@" + "9" * 5000)), INVALID),
    "a version beyond the column": (applied(spec(model="m@" + "9" * 30)), INVALID),
    "a version that is not there": (applied(spec(model="m@999999999")), ABSENT),
}
OF_NODES = ("a name of a megabyte", "a thousand labels", "facts of a megabyte", "facts that are deep")


@pytest.fixture
async def coordinator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Coordinator]:
    """A coordinator with a broker in process."""
    async with running_coordinator(tmp_path_factory.mktemp("coordinator"), own_broker="embedded") as coordinator:
        yield coordinator


async def test_what_cannot_be_is_refused_in_one_line_that_can_travel(coordinator: Coordinator) -> None:
    node = await enrolled(coordinator)
    async with admin(coordinator) as channel, channel_of(coordinator, node.credential) as nodes_channel:
        for what, (call, code) in CALLS.items():
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(nodes_channel if what in OF_NODES else channel)
            assert refused.value.code() is code, what
            details = refused.value.details()
            assert details is not None
            assert "\n" not in details, what
            assert 0 < len(details) <= 1000, what


async def test_a_push_that_never_ends_is_cut_where_its_announced_size_ends(coordinator: Coordinator) -> None:
    def endless() -> Iterator[PushBlobRequest]:
        yield PushBlobRequest(digest=DIGEST, size=2 * MEGABYTE)
        while True:
            yield PushBlobRequest(data=bytes(MEGABYTE))

    # the client of edgectl: grpc.aio's own sometimes fails on the message after the end, and forgets the status
    with grpc.secure_channel(coordinator.address, tls(administrator(coordinator)), options=TLS) as channel:
        stub = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError, match="more than the 2000000 bytes"):
            await asyncio.to_thread(stub.PushBlob, endless())


async def test_a_fetch_from_beyond_the_end_is_refused(coordinator: Coordinator) -> None:
    async with admin(coordinator) as channel:
        stub = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        await stub.PushBlob(iter([PushBlobRequest(digest=DIGEST, size=3, data=b"abc")]))
        with pytest.raises(grpc.aio.AioRpcError, match="has 3 bytes, no offset 18446744073709551615"):
            await anext(aiter(stub.FetchBlob(FetchBlobRequest(digest=DIGEST, offset=2**64 - 1))))


async def test_a_name_of_a_megabyte_is_not_found_in_a_line_that_can_travel(coordinator: Coordinator) -> None:
    async with admin(coordinator) as channel:
        stub = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.aio.AioRpcError, match="see edgectl node list"):
            await stub.GetNode(GetNodeRequest(node="a" * MEGABYTE))
