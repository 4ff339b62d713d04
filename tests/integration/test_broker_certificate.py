"""A broker elsewhere has a certificate of the same authority: with it nobody passes for the coordinator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from coordinator.api.errors import Context
from coordinator.app import Coordinator
from coordinator.authority.keys import certificate_request, key_pem, new_key
from coordinator.cli import main
from edge_node.errors import Refused, Stranger
from edge_node.link.enrollment import enroll
from edge_node.link.tls import server_context
from protos.broker_url import parse_broker_url
from protos.fleet.v1 import access_pb2 as access
from protos.fleet.v1 import enrollment_pb2 as enrollment
from protos.fleet.v1.access_pb2_grpc import AccessServiceStub
from protos.fleet.v1.enrollment_pb2_grpc import EnrollmentServiceServicer, add_EnrollmentServiceServicer_to_server
from protos.join_token import JoinToken
from tests.coordinators import admin, join_token, running_coordinator


class Thief(EnrollmentServiceServicer):
    """Answers as enrollment does, and keeps the secrets that it is told."""

    def __init__(self, authority: bytes) -> None:
        self.authority = authority
        self.secrets: list[bytes] = []

    async def GetAuthority(  # noqa: N802 - as the service has it
        self, request: enrollment.GetAuthorityRequest, context: Context
    ) -> enrollment.Authority:
        """The authority is public."""
        return enrollment.Authority(certificate=self.authority)

    async def Enroll(  # noqa: N802 - as the service has it
        self, request: enrollment.EnrollRequest, context: Context
    ) -> enrollment.Enrollment:
        """Takes the secret."""
        self.secrets.append(request.secret)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "thank you")


@asynccontextmanager
async def posing(thief: Thief, key: bytes, certificate: bytes) -> AsyncIterator[str]:
    """The thief's server, with a certificate; its address."""
    server = grpc.aio.server()
    add_EnrollmentServiceServicer_to_server(thief, server)  # type: ignore[no-untyped-call]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def broker_certificate(coordinator: Coordinator, *names: str) -> tuple[bytes, bytes]:
    """Key and certificate of a broker elsewhere."""
    key = new_key()
    async with admin(coordinator) as channel:
        stub = AccessServiceStub(channel)  # type: ignore[no-untyped-call]
        request = access.IssueBrokerCertificateRequest(csr=certificate_request(key), names=names)
        issued = await stub.IssueBrokerCertificate(request)
    return key_pem(key), bytes(issued.certificate)


async def enrolls_at(address: str, token: JoinToken, folder: Path) -> None:
    """A device that was led to the address."""
    key = folder / "node.key"
    key.write_bytes(key_pem(new_key()))
    await enroll(token, address, key, name="cam-3", labels={}, facts_json="{}")


async def test_whoever_has_a_brokers_certificate_is_told_no_join_token_and_is_no_coordinator_to_edgectl(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path / "coord", own_broker="embedded") as coordinator:
        folder, token = coordinator.folder, await join_token(coordinator)
        thief = Thief(folder.authorities.read_bytes())
        async with posing(thief, *await broker_certificate(coordinator, "127.0.0.1")) as address:
            with pytest.raises(Stranger, match="is not the coordinator that is trusted here"):
                await enrolls_at(address, token, tmp_path)
            options = ["--coordinator", address, "--credentials", str(folder.admin), "status"]
            assert await asyncio.to_thread(main, options) == 4
        assert thief.secrets == []
        assert "is not the coordinator of" in capsys.readouterr().err

        own = folder.server_key.read_bytes(), folder.server_certificate.read_bytes()
        async with posing(thief, *own) as address:  # the control arm: who has the coordinator's own key is told
            with pytest.raises(Refused, match="thank you"):
                await enrolls_at(address, token, tmp_path)
        assert thief.secrets == [token.secret]


@pytest.mark.parametrize("name", ["coordinator.nearfield", "*.nearfield", "Coordinator.Nearfield", "nearfield"])
async def test_no_broker_gets_the_coordinators_name(name: str, tmp_path: Path) -> None:
    async with running_coordinator(tmp_path / "coord", own_broker="embedded") as coordinator:
        with pytest.raises(grpc.aio.AioRpcError, match="is not a broker's to have"):
            await broker_certificate(coordinator, "broker.example", name)


async def test_mqtt_clients_that_pin_the_authority_take_the_coordinators_own_broker(tmp_path: Path) -> None:
    async with running_coordinator(tmp_path / "coord", own_broker="embedded") as coordinator:
        context = server_context(coordinator.folder.authorities.read_text())
        port = parse_broker_url(coordinator.broker_url).port
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="broker.nearfield")
        writer.close()
