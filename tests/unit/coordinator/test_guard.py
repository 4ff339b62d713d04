"""The guard of streams: asked again for every message."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from coordinator.api.caller import caller
from coordinator.api.guard import Guard
from coordinator.errors import Refused
from protos.principal import Principal, Role

TAIL = "/nearfield.fleet.v1.ResultService/TailResults"


class Connection:
    """What the guard asks of a call: the names in the connection's certificate."""

    def __init__(self, *names: bytes) -> None:
        self._names = names

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        """As gRPC has it."""
        return {"x509_common_name": self._names} if self._names else {}


async def endless(_request: object, _context: object) -> AsyncIterator[int]:
    """Numbers."""
    number = 0
    while True:
        yield number
        number += 1


async def guarded(guard: Guard, *names: bytes) -> AsyncIterator[Any]:
    """The stream behind the guard."""
    handler: Any = grpc.unary_stream_rpc_method_handler(endless)

    async def continuation(_details: object) -> Any:
        return handler

    details: Any = type("Details", (), {"method": TAIL})
    found: Any = await guard.intercept_service(continuation, details)
    async for message in found.unary_stream(None, Connection(*names)):
        yield message


async def test_a_watcher_that_is_revoked_sees_no_further_message() -> None:
    revoked = set[str]()
    stream = aiter(guarded(Guard(revoked.__contains__), b"viewer:dash"))
    assert [await anext(stream), await anext(stream)] == [0, 1]
    assert caller.get() == Principal(Role.VIEWER, "dash")
    revoked.add("viewer:dash")
    with pytest.raises(Refused, match="viewer:dash was revoked"):
        await anext(stream)


@pytest.mark.parametrize("names", [(), (b"viewer:a", b"admin:b"), (b"\xff",), (b"root",), (b"admin:",)])
async def test_a_certificate_that_names_nobody_or_several_is_refused(names: tuple[bytes, ...]) -> None:
    with pytest.raises(Refused, match="names nobody who may call"):
        await anext(aiter(guarded(Guard(set[str]().__contains__), *names)))
