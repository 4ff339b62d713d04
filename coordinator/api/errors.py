"""The one map from what went wrong to gRPC's status codes, and the interceptor that applies it to every method.

What nobody foresaw is INTERNAL without its text: that goes to the log only.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from grpc import StatusCode

from coordinator.errors import BadInput, Conflict, NearfieldError, NotFound, Refused, Unreachable
from protos.errors import ContractError

CODES: tuple[tuple[type[Exception], StatusCode], ...] = (
    (BadInput, StatusCode.INVALID_ARGUMENT),
    (ContractError, StatusCode.INVALID_ARGUMENT),
    (NotFound, StatusCode.NOT_FOUND),
    (Conflict, StatusCode.FAILED_PRECONDITION),
    (Refused, StatusCode.PERMISSION_DENIED),
    (Unreachable, StatusCode.UNAVAILABLE),
    (NearfieldError, StatusCode.UNKNOWN),
)
"""The first that fits."""

MAX_DETAILS = 1000
"""Characters of a status message: gRPC's trailers hold 8 KiB, escapes included."""

log = logging.getLogger(__name__)

if TYPE_CHECKING:  # generic in the type stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Handler, Context = grpc.RpcMethodHandler, grpc.aio.ServicerContext


def code_of(error: Exception) -> StatusCode:
    """The status code of an error."""
    return next((code for kind, code in CODES if isinstance(error, kind)), StatusCode.INTERNAL)


class ErrorsToStatus(grpc.aio.ServerInterceptor):
    """Ends a call whose method raised with the status of its error."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped; without one gRPC answers UNIMPLEMENTED by itself."""
        handler = await continuation(handler_call_details)
        return None if handler is None else _wrapped(handler, handler_call_details.method)


def rewrapped(handler: Handler, reply: Any, stream: Any) -> Handler:
    """The handler with other behaviour: `reply` where one message goes back, `stream` where many do."""
    coders = (handler.request_deserializer, handler.response_serializer)
    if handler.response_streaming:  # no method streams both ways
        return grpc.unary_stream_rpc_method_handler(stream, *coders)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(reply, *coders)
    return grpc.unary_unary_rpc_method_handler(reply, *coders)


def _wrapped(handler: Handler, method: str) -> Handler:
    behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
    return rewrapped(handler, _guarded_reply(behaviour, method), _guarded_stream(handler.unary_stream, method))


def _guarded_reply(behaviour: Any, method: str) -> Any:
    async def reply(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await _abort(context, error, method)

    return reply


def _guarded_stream(behaviour: Any, method: str) -> Any:
    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for message in behaviour(request, context):
                yield message
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await _abort(context, error, method)

    return stream


async def _abort(context: Context, error: Exception, method: str) -> NoReturn:
    code = code_of(error)
    if code is StatusCode.INTERNAL:
        log.error("%s failed", method, exc_info=error)
        await context.abort(code, "the coordinator failed on this request: its log says more")
    await context.abort(code, _line(str(error)))


def _line(text: str) -> str:
    """One line, without the middle of what is too long to travel."""
    line = " ".join(text.splitlines())
    if len(line) <= MAX_DETAILS:
        return line
    return f"{line[: MAX_DETAILS // 4]} … {line[-MAX_DETAILS // 4 :]}"
