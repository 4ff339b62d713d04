"""Takes the body of a request from the network, within limits of size and time."""

import asyncio
from typing import Self

from aiohttp import StreamReader, web

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rest.coding import announced, too_large
from edge_node.serving.rest.errors import HttpError
from edge_node.serving.rest.reading import invalid

SMALL = 1 << 16
"""Bodies up to here count for nothing: the bound on connections bounds them."""


Body = bytes | bytearray


class Bodies:
    """What is held of all bodies together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def share(self) -> "Share":
        """One request's part, given back at the end of its block."""
        return Share(self)

    def take(self, size: int) -> None:
        """Hold more. Raises `ServingError` (BUSY) where that is too much."""
        if self._held + size > self._most:
            raise ServingError(Kind.BUSY, "too many large requests at the same time: try again", 1.0)
        self._held += size

    def give(self, size: int) -> None:
        """Hold less."""
        self._held -= size


class Share:
    """The part of one request."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._held = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        if self._held:
            self._bodies.give(self._held)

    def grow(self, size: int) -> None:
        """So large it is now. Raises `ServingError` (BUSY)."""
        if size > SMALL and size > self._held:
            self._bodies.take(size - self._held)
            self._held = size


async def body_of(request: web.BaseRequest, share: Share, cap: int, patience_s: float) -> Body:
    """The body as it came. Raises `ServingError` where it is too large, too slow, or breaks off."""
    announced(request.content_length, cap)
    try:
        if request.content.is_eof():
            return _present(request.content, share, cap)
        _invite(request)
        async with asyncio.timeout(patience_s):
            return await _collected(request.content, share, cap)
    except TimeoutError:
        raise HttpError(408, f"the request did not come within {patience_s:g} s") from None
    except web.RequestPayloadError:
        raise invalid("the request broke off, or its chunks are not what HTTP says") from None


def _present(content: StreamReader, share: Share, cap: int) -> bytes:
    """A body that has come with its head: without waiting."""
    body = content.read_nowait()
    if len(body) > cap:
        raise too_large(len(body), cap)
    share.grow(len(body))
    return body


async def _collected(content: StreamReader, share: Share, cap: int) -> Body:
    """All chunks. The body grows with them: joining megabytes at the end would hold up everybody at once."""
    body: Body = await content.readany()
    size = len(body)
    while True:
        if size > cap:
            raise too_large(size, cap)
        share.grow(size)
        chunk = await content.readany()
        if not chunk:
            return body
        size += len(chunk)
        if isinstance(body, bytes):
            body = bytearray(body)
        body += chunk


def _invite(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue`, with which curl begins larger requests."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
