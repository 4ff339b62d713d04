"""The edge of gRPC: who calls, whether they may, what becomes of errors. Every call passes here before it is read."""

import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote

import grpc

from edge_node.serving.firewall.guard import Admitted, Asking, Guard
from edge_node.serving.inference import Caller, Kind, ServingError
from edge_node.serving.rpc.status import CODES, retry_after

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")

log = logging.getLogger(__name__)


class Edge:
    """The one place that knows callers.

    Args:
        guard: says whether they may.
        count: is told of what is refused before it is read, by a word for the reason.
        certificates: whether clients show certificates, whose names count.
    """

    def __init__(self, guard: Guard, count: Callable[[str], None], *, certificates: bool = False) -> None:
        self._guard = guard
        self._count = count
        self._certificates = certificates

    def admit(self, context: Context, scope: str) -> Admitted:
        """Who calls, if they may; in work until the block that this opens ends.

        Raises:
            ServingError: UNKNOWN_CALLER, DENIED, BUSY.
        """
        name = _name(context) if self._certificates else ""
        key = _authorization(context) if self._guard.asks_for_keys else ""
        try:
            return self._guard.admit(Asking(host_of(context.peer() or ""), name, key), scope)
        except ServingError as error:
            self._count(error.cause)
            raise

    def charge(self, caller: Caller) -> None:
        """One more request of a stream that was admitted. Raises `ServingError` (BUSY)."""
        try:
            self._guard.charge(caller)
        except ServingError as error:
            self._count(error.cause)
            raise

    async def hold(self, error: ServingError) -> None:
        """Return when a refusal may be told."""
        await self._guard.hold(error)

    async def answered(self, context: Context, answer: Awaitable[T]) -> T:
        """The answer, or its error as a status in one line."""
        try:
            return await answer
        except ServingError as error:
            refusal = error
        except Exception as error:  # noqa: BLE001 - the boundary to clients, which reports
            refusal = unexpected(error)
        await self.hold(refusal)
        return await context.abort(CODES[refusal.kind], refusal.reason, retry_after(refusal))


def unexpected(error: Exception) -> ServingError:
    """What a client hears of a defect of this process; the rest is in the log."""
    log.error("a call failed", exc_info=error)
    return ServingError(Kind.FAILED, "internal error: see the node's log")


@lru_cache(1024)
def host_of(peer: str) -> str:
    """The address of the other end as gRPC names it, without the port: `ipv4:127.0.0.1:4711` is `127.0.0.1`.

    Of a Unix socket it is `unix:`.
    """
    family, _, place = unquote(peer).partition(":")
    if family == "unix":
        return "unix:"
    return place.rpartition(":")[0].strip("[]")


def _authorization(context: Context) -> str:
    """The metadata `authorization`; of several the first."""
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            return value if isinstance(value, str) else ""
    return ""


def _name(context: Context) -> str:
    """The common name of the client's certificate."""
    names = context.auth_context().get("x509_common_name", ())
    return next(iter(names), b"").decode(errors="replace")
