"""Lets a call in by the certificate of its connection: who it is, whether that is revoked, what its role may do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from coordinator.api.access import refusal
from coordinator.api.caller import caller
from coordinator.api.errors import Context, Handler, rewrapped
from coordinator.errors import Refused
from protos.errors import ContractError
from protos.principal import Principal, principal_of


class Guard(grpc.aio.ServerInterceptor):
    """Sets `caller`, or refuses.

    Args:
        is_revoked: whether a principal is on the deny-list, by its common name.
    """

    def __init__(self, is_revoked: Callable[[str], bool]) -> None:
        self._is_revoked = is_revoked

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler behind the check."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return rewrapped(
            handler, self._reply(handler, handler_call_details), self._stream(handler, handler_call_details)
        )

    def _admit(self, context: Context, method: str) -> None:
        principal = _principal(context)
        caller.set(principal)
        if self._is_revoked(principal.common_name):
            raise Refused(f"{principal.common_name} was revoked on this coordinator: ask an administrator")
        if reason := refusal(method, principal):
            raise Refused(reason)

    def _reply(self, handler: Handler, details: grpc.HandlerCallDetails) -> Any:
        behaviour: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

        async def reply(request: Any, context: Context) -> Any:
            self._admit(context, details.method)
            return await behaviour(request, context)

        return reply

    def _stream(self, handler: Handler, details: grpc.HandlerCallDetails) -> Any:
        behaviour: Any = handler.unary_stream

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            self._admit(context, details.method)
            async for message in behaviour(request, context):
                self._admit(context, details.method)  # whoever is revoked while watching sees no more
                yield message

        return stream


def _principal(context: Context) -> Principal:
    """Who has the connection's certificate.

    Raises:
        Refused: nobody that this coordinator knows.
    """
    names = context.auth_context().get("x509_common_name", ())
    try:
        (name,) = names
        return principal_of(bytes(name).decode())
    except (ValueError, ContractError):  # none or several, not UTF-8, not a principal
        raise Refused("the certificate of this connection names nobody who may call: use one made by edgectl") from None


def actor(context: Context) -> str:
    """Whose certificate it is, for the audit log."""
    try:
        return _principal(context).common_name
    except Refused:
        return "nobody"
