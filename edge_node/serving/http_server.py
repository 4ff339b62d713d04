"""REST: the composition of port 8000. What paths and bodies mean, and what goes back, is decided in `rest`."""

import asyncio
import sys
from collections.abc import Coroutine
from functools import partial
from time import monotonic_ns, sleep

from aiohttp import web

from edge_node.serving.described import SERVER
from edge_node.serving.firewall.guard import Guard
from edge_node.serving.firewall.tls import context_of
from edge_node.serving.http_listener import Listener, asking_of, listen, path_of
from edge_node.serving.inference import Caller, Inference, ServingError
from edge_node.serving.rest.admission import admit
from edge_node.serving.rest.answer import answer
from edge_node.serving.rest.coding import compressed, decompressed, too_large, wanted_coding
from edge_node.serving.rest.errors import AS_JSON, refused
from edge_node.serving.rest.incoming import Bodies, Body, Share, body_of
from edge_node.serving.rest.lists import Pause, no_pause
from edge_node.serving.rest.operations import HANDLERS, Ask
from edge_node.serving.rest.question import MOST_BESIDE, Forms, json_length, question, raw_question
from edge_node.serving.rest.routes import Names, route
from edge_node.serving.seam import Serving
from edge_node.serving.settings import ServingSettings
from protos.inference.rest import HEADER_LENGTH, Operation

AS_BINARY = {"Content-Type": "application/octet-stream", "Server": SERVER}
LARGE_JSON = 1 << 18
"""From here on, JSON is read beside the event loop, and one at a time; so are compressed bodies."""
LARGE_ANSWER = 1 << 16
BESIDE = 1 << 19
"""bytes of JSON without its long lists, where others ask: they are read in one go, a millisecond for so many"""
PAUSE_S = 0.0005
"""between two pieces of a body that is read there, where others than this machine ask"""
SWITCH_S = 0.0005
"""after which a thread that reads a large body lets the event loop go on. Python's own 5 ms would be waited for several
times in each request of everybody else."""


class Rest:
    """Answers requests over HTTP."""

    def __init__(self, serving: Serving, settings: ServingSettings, guard: Guard, pause: Pause = no_pause) -> None:
        self._serving = serving
        self._settings = settings
        self._guard = guard
        self._bodies = Bodies(settings.bodies_bytes)
        self._heavy = asyncio.Semaphore(1)
        self._pause = pause
        self._beside = MOST_BESIDE if pause is no_pause else BESIDE

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request: refusals are answers too."""
        try:
            operation, names = route(request.method, path_of(request))
            asking = asking_of(request, self._guard)
            with admit(self._guard, asking, operation.scope, request.headers) as caller, self._bodies.share() as share:
                return await self._answer(request, operation, Ask(names, b"", caller), share)
        except ServingError as error:
            self._serving.refused(error.cause)
            await self._guard.hold(error)
            return refused(error)

    async def _answer(
        self, request: web.BaseRequest, operation: Operation, ask: Ask, share: Share
    ) -> web.StreamResponse:
        """The answer of one that is admitted. What raises before it is begun is counted by `respond`."""
        answer_of = await self._heard(request, operation, ask, share)
        try:
            return await answer_of
        except ServingError as error:
            return refused(error)

    async def _heard(
        self, request: web.BaseRequest, operation: Operation, ask: Ask, share: Share
    ) -> Coroutine[None, None, web.Response]:
        """The answer that a request asks for, not begun yet."""
        body = await self._body(request, share)
        if operation.id != "infer":
            return self._told(operation, Ask(ask.names, bytes(body), ask.caller))
        coding = wanted_coding(request.headers.get("Accept-Encoding", ""))
        return self._inferred(*await self._question(request, ask.names, body), ask.caller, coding)

    async def _told(self, operation: Operation, ask: Ask) -> web.Response:
        content = await HANDLERS[operation.id](self._serving, ask)
        return web.Response(body=content, headers=AS_JSON)

    async def _inferred(self, inference: Inference, forms: Forms, caller: Caller, coding: str) -> web.Response:
        answered = await self._serving.infer(inference, caller)
        content, length = answer(answered, forms)
        headers = AS_JSON if length is None else {**AS_BINARY, HEADER_LENGTH: str(length)}
        if coding:
            headers = {**headers, "Content-Encoding": coding}
            content = await _compressed(content, coding)
        return web.Response(body=content, headers=headers)

    async def _body(self, request: web.BaseRequest, share: Share) -> Body:
        cap = self._settings.request_bytes
        body = await body_of(request, share, cap, self._settings.body_s)
        coding = request.headers.get("Content-Encoding", "identity").lower()
        if coding == "identity":
            return body
        async with self._heavy:
            content = await asyncio.to_thread(decompressed, body, coding, cap, self._pause)
        share.grow(len(content))
        return content

    async def _question(self, request: web.BaseRequest, names: Names, body: Body) -> tuple[Inference, Forms]:
        model, version = names["model"], names.get("version", "")
        length = json_length(request.headers.get(HEADER_LENGTH), body)
        if length == 0:
            return raw_question(self._serving.model(model, version), body)
        json = len(body) if length is None else length
        if json > self._settings.json_bytes:
            raise too_large(json, self._settings.json_bytes)
        if json < LARGE_JSON:
            return question(model, version, body, length, monotonic_ns())
        async with self._heavy:
            return await asyncio.to_thread(
                question, model, version, body, length, monotonic_ns(), self._pause, self._beside
            )


async def _compressed(content: bytes, coding: str) -> bytes:
    if len(content) < LARGE_ANSWER:
        return compressed(content, coding)
    return await asyncio.to_thread(compressed, content, coding)


async def start_http(serving: Serving, settings: ServingSettings, guard: Guard | None = None) -> Listener:
    """Answer REST at `settings.http`: `address` says where, `close` ends it.

    Raises:
        OSError: it cannot bind.
        BadInput: TLS's files cannot be used.
    """
    sys.setswitchinterval(SWITCH_S)
    guarded = settings.tls is not None and "http" in settings.guarded
    rest = Rest(serving, settings, guard or Guard(), partial(sleep, PAUSE_S) if guarded else no_pause)
    tls = context_of(settings.tls, "http/1.1") if guarded and settings.tls else None
    return await listen(rest.respond, settings.http, settings, tls, serving.refused)
