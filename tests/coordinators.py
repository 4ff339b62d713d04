"""A whole coordinator for tests: the object that `edge-coordinator serve` runs, on free ports and a temporary folder.

async with running_coordinator(tmp_path) as coordinator, admin(coordinator) as channel:
    node = await enrolled(coordinator, "cam-3")
    code = await edgectl(coordinator, "node", "list")
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import msgspec

from coordinator.app import Coordinator
from coordinator.authority.credential import Credential, parse_credential
from coordinator.authority.files import make_identity
from coordinator.authority.keys import PrivateKey, certificate_request, key_pem, new_key
from coordinator.cli import main
from coordinator.cli.publisher import VARIABLE
from coordinator.config import CoordinatorConfig
from coordinator.folder import Folder, make_folder
from coordinator.trust.first_root import make_first_root, publisher_file
from protos.fleet.v1.access_pb2 import CreateJoinTokensReply, CreateJoinTokensRequest, IssueCredentialRequest
from protos.fleet.v1.access_pb2_grpc import AccessServiceStub
from protos.fleet.v1.enrollment_pb2 import Enrollment, EnrollRequest
from protos.fleet.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from protos.fleet.v1.node_pb2 import RegisterNodeReply, RegisterNodeRequest
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub
from protos.identity import NodeId
from protos.join_token import JoinToken, parse_join_token
from protos.principal import SERVER_NAME

CONFIG = CoordinatorConfig(host="127.0.0.1", port=0, enroll_port=0, broker_port=0, announce=False)
TLS = (("grpc.ssl_target_name_override", SERVER_NAME),)


@dataclass(frozen=True)
class EnrolledNode:
    """A node as its device knows it."""

    id: NodeId
    key: PrivateKey
    reply: Enrollment

    @property
    def credential(self) -> Credential:
        """Its certificate, key and authority."""
        return Credential(self.reply.certificate, key_pem(self.key), b"".join(self.reply.authorities))


def initialised(folder: Path) -> Folder:
    """A folder as `edge-coordinator init` makes it."""
    made = Folder(folder)
    make_folder(made, CoordinatorConfig())
    make_identity(made, "tester", datetime.now(UTC))
    make_first_root(made, (), datetime.now(UTC))
    return made


@asynccontextmanager
async def running_coordinator(folder: Path, **changes: object) -> AsyncIterator[Coordinator]:
    """A coordinator that runs for the block; `changes` are keys of its configuration."""
    initialised(folder)
    coordinator = Coordinator(msgspec.structs.replace(CONFIG, **changes), folder)
    await coordinator.start()
    try:
        yield coordinator
    finally:
        await coordinator.stop()


async def edgectl(coordinator: Coordinator, *arguments: str) -> int:
    """Run `edgectl` against it as its administrator and publisher, in this process; the exit code."""
    known = ["--coordinator", coordinator.address, "--credentials", str(coordinator.folder.admin)]
    os.environ[VARIABLE] = str(publisher_file(coordinator.folder))
    return await asyncio.to_thread(main, [*known, *arguments])


def tls(credential: Credential) -> grpc.ChannelCredentials:
    """What gRPC needs of a credential."""
    return grpc.ssl_channel_credentials(credential.authorities, credential.key, credential.certificate)


def channel_of(coordinator: Coordinator, credential: Credential) -> grpc.aio.Channel:
    """A channel to the API with a credential."""
    return grpc.aio.secure_channel(coordinator.address, tls(credential), options=TLS)


def administrator(coordinator: Coordinator) -> Credential:
    """The first administrator's credential."""
    file = coordinator.folder.admin
    return parse_credential(file.read_bytes(), str(file))


def admin(coordinator: Coordinator) -> AbstractAsyncContextManager[grpc.aio.Channel]:
    """The first administrator's channel."""
    return channel_of(coordinator, administrator(coordinator))


def enrollment(coordinator: Coordinator) -> AbstractAsyncContextManager[grpc.aio.Channel]:
    """A channel to where devices enroll."""
    trusted = grpc.ssl_channel_credentials(coordinator.folder.authorities.read_bytes())
    return grpc.aio.secure_channel(coordinator.enrollment_address, trusted, options=TLS)


async def credential_for(coordinator: Coordinator, role: str, name: str = "somebody") -> Credential:
    """A credential of a role."""
    key = new_key()
    async with admin(coordinator) as channel:
        stub = AccessServiceStub(channel)  # type: ignore[no-untyped-call]
        request = IssueCredentialRequest(name=name, role=role, csr=certificate_request(key))
        issued = await stub.IssueCredential(request)
    return Credential(issued.certificate, key_pem(key), b"".join(issued.authorities))


async def join_token(coordinator: Coordinator, site: str = "store-12", **fields: Any) -> JoinToken:
    """A fresh token."""
    async with admin(coordinator) as channel:
        stub = AccessServiceStub(channel)  # type: ignore[no-untyped-call]
        reply: CreateJoinTokensReply = await stub.CreateJoinTokens(CreateJoinTokensRequest(site=site, **fields))
    return parse_join_token(reply.tokens[0])


async def use(
    coordinator: Coordinator, token: JoinToken, name: str, key: PrivateKey, labels: Mapping[str, str] | None = None
) -> EnrolledNode:
    """Enroll with a token and a key."""
    async with enrollment(coordinator) as channel:
        stub = EnrollmentServiceStub(channel)  # type: ignore[no-untyped-call]
        request = EnrollRequest(secret=token.secret, csr=certificate_request(key), name=name, labels=labels or {})
        reply: Enrollment = await stub.Enroll(request)
    return EnrolledNode(NodeId(reply.node_id), key, reply)


async def enrolled(coordinator: Coordinator, name: str = "cam-3", site: str = "store-12") -> EnrolledNode:
    """A new node."""
    return await use(coordinator, await join_token(coordinator, site), name, new_key())


async def registered(coordinator: Coordinator, node: EnrolledNode, **fields: Any) -> RegisterNodeReply:
    """What the coordinator answers when a node says its facts."""
    async with channel_of(coordinator, node.credential) as channel:
        stub = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
        said = {"name": node.reply.name, "site": node.reply.site, "facts_json": '{"sources":["shelf"]}', **fields}
        reply: RegisterNodeReply = await stub.RegisterNode(RegisterNodeRequest(**said))
    return reply
