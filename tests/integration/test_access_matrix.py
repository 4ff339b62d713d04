"""Who may call what: every method of every service with every role, on a real coordinator with mutual TLS."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from coordinator.api.access import ALLOWED
from coordinator.app import Coordinator
from coordinator.authority.credential import Credential
from coordinator.authority.keys import key_pem, new_key
from protos.principal import NAMED_ROLES, Role
from tests.coordinators import (
    TLS,
    admin,
    administrator,
    channel_of,
    credential_for,
    enrolled,
    enrollment,
    running_coordinator,
    tls,
)
from tests.services import METHODS, Method

REFUSED = "may not call"


@pytest.fixture
async def coordinator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Coordinator]:
    """A coordinator with a broker in process."""
    async with running_coordinator(tmp_path_factory.mktemp("coordinator"), own_broker="embedded") as coordinator:
        yield coordinator


async def is_refused(method: Method, channel: grpc.aio.Channel) -> bool:
    """Whether a call is refused for who makes it; whatever else it comes to does not matter."""
    try:
        call = method.call(channel)
        if method.streams_out:
            read = asyncio.create_task(anext(aiter(call), None))
            await asyncio.wait([read], timeout=0.5)  # a tail has nothing to say
            if not read.done():
                call.cancel()
                await asyncio.wait([read])
                return False
            read.result()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.UNIMPLEMENTED:
            pytest.fail(f"{method.name} is not served")
        return error.code() is StatusCode.PERMISSION_DENIED and REFUSED in (error.details() or "")
    return False


@pytest.mark.parametrize("role", [Role.NODE, *NAMED_ROLES])
async def test_every_role_calls_exactly_the_methods_of_its_column(role: Role, coordinator: Coordinator) -> None:
    if role is Role.NODE:
        credential = (await enrolled(coordinator)).credential
    else:
        credential = await credential_for(coordinator, role)
    async with channel_of(coordinator, credential) as channel:
        let_in = {method.name for method in METHODS if method.name in ALLOWED and not await is_refused(method, channel)}
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert let_in == {name for name, roles in ALLOWED.items() if role in roles}
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_coordinators_own_certificate_opens_nothing(coordinator: Coordinator) -> None:
    folder = coordinator.folder
    own = Credential(
        folder.server_certificate.read_bytes(), folder.server_key.read_bytes(), folder.authorities.read_bytes()
    )
    async with channel_of(coordinator, own) as channel:
        assert all([await is_refused(method, channel) for method in METHODS if method.name in ALLOWED])


async def test_without_a_certificate_or_with_a_strangers_there_is_no_connection(
    coordinator: Coordinator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    method = next(method for method in METHODS if method.name == "SystemService/GetStatus")
    known = administrator(coordinator)
    async with running_coordinator(tmp_path_factory.mktemp("other"), own_broker="embedded") as other:
        stranger = administrator(other)
    forged = Credential(known.certificate, key_pem(new_key()), known.authorities)
    shown = {
        "nothing": grpc.ssl_channel_credentials(known.authorities),
        "a stranger's": grpc.ssl_channel_credentials(known.authorities, stranger.key, stranger.certificate),
        "somebody else's without the key": tls(forged),
    }
    for what, credentials in shown.items():
        async with grpc.aio.secure_channel(coordinator.address, credentials, options=TLS) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await method.call(channel)
            assert refused.value.code() is StatusCode.UNAVAILABLE, what
    async with grpc.aio.insecure_channel(coordinator.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method.call(channel)
        assert refused.value.code() is StatusCode.UNAVAILABLE
    async with admin(coordinator) as channel:  # the control arm
        await method.call(channel)


async def test_where_devices_enroll_nothing_else_is_served(coordinator: Coordinator) -> None:
    async with enrollment(coordinator) as channel:
        for method in METHODS:
            if method.name in ALLOWED:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await (anext(aiter(method.call(channel))) if method.streams_out else method.call(channel))
                assert refused.value.code() is StatusCode.UNIMPLEMENTED, method.name
