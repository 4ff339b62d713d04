"""The metrics port: `GET /metrics` for Prometheus. Others show a key or a certificate, as elsewhere."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from edge_node.serving.firewall.guard import Guard
from edge_node.serving.firewall.tls import context_of
from edge_node.serving.http_listener import Listener, Respond, asking_of, listen, path_of
from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rest.errors import HttpError, refused
from edge_node.serving.settings import ServingSettings


async def start_metrics(
    registry: CollectorRegistry, settings: ServingSettings, guard: Guard, count: Callable[[str], None]
) -> Listener:
    """Answer at `settings.metrics`, where port 0 takes a free one; `count` is told of refusals.

    Raises:
        OSError: it cannot bind.
        BadInput: TLS's files cannot be used.
    """
    tls = context_of(settings.tls, "http/1.1") if settings.tls and "metrics" in settings.guarded else None
    return await listen(_answering(registry, guard, count), settings.metrics, settings, tls, count)


def _answering(registry: CollectorRegistry, guard: Guard, count: Callable[[str], None]) -> Respond:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        try:
            _check(request)
            with guard.admit(asking_of(request, guard), "infer"):
                return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
        except ServingError as error:
            count(error.cause)
            await guard.hold(error)
            return refused(error)

    return respond


def _check(request: web.BaseRequest) -> None:
    if path_of(request) != "/metrics":
        raise ServingError(Kind.NOT_FOUND, "there is nothing but /metrics")
    if request.method not in ("GET", "HEAD"):
        raise HttpError(405, "/metrics is to be read: GET", {"Allow": "GET"})
