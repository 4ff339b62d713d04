"""The metrics port: `GET /metrics` for Prometheus."""

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

_CLOSE_S = 1.0


class MetricsListener:
    """An open metrics port; `address` says where."""

    def __init__(self, runner: web.AppRunner, address: str) -> None:
        self.address = address
        self._runner = runner

    async def close(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()


async def start_metrics(registry: CollectorRegistry, address: str) -> MetricsListener:
    """Answer at `host:port`, where port 0 takes a free one. Raises OSError where it cannot be bound."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    application = web.Application(client_max_size=1024)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    host, _, port = address.rpartition(":")
    site = web.TCPSite(runner, host.strip("[]"), int(port))
    await site.start()
    return MetricsListener(runner, f"{host}:{runner.addresses[0][1]}")
