"""Refusals over HTTP: the status of each kind, and `{"error": "..."}`."""

from collections.abc import Mapping
from math import ceil

import msgspec
from aiohttp import web

from edge_node.serving.described import SERVER
from edge_node.serving.inference import Kind, ServingError
from protos.inference.rest import Refusal

STATUSES = {
    Kind.INVALID: 400,
    Kind.NOT_FOUND: 404,
    Kind.NOT_READY: 503,
    Kind.TOO_LARGE: 413,
    Kind.BUSY: 429,
    Kind.DEADLINE: 504,
    Kind.UNSUPPORTED: 501,
    Kind.UNKNOWN_CALLER: 401,
    Kind.DENIED: 403,
    Kind.FAILED: 500,
}
AS_JSON = {"Content-Type": "application/json", "Server": SERVER}


class HttpError(ServingError):
    """A refusal that only HTTP knows: its status and headers."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(Kind.INVALID, reason)
        self.status = status
        self.headers = headers or {}


def refused(error: ServingError) -> web.Response:
    """The answer to a request that is not answered."""
    body = msgspec.json.encode(Refusal(" ".join(error.reason.split())))
    return web.Response(body=body, status=_status(error), headers={**AS_JSON, **_headers(error)})


def _status(error: ServingError) -> int:
    return error.status if isinstance(error, HttpError) else STATUSES[error.kind]


def _headers(error: ServingError) -> Mapping[str, str]:
    if isinstance(error, HttpError):
        return error.headers
    if error.retry_after_s is not None:
        return {"Retry-After": str(max(1, ceil(error.retry_after_s)))}
    return {"WWW-Authenticate": "Bearer"} if error.kind is Kind.UNKNOWN_CALLER else {}
