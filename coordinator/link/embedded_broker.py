"""A broker inside this process, where Mosquitto is not installed (docs/adr/0002-embedded-broker.md)."""

import asyncio
import logging
import threading
from typing import Any, Literal

from coordinator.link.listening import HOST, free_port


class EmbeddedBroker:
    kind: Literal["embedded"] = "embedded"

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._broker: Any = None

    @property
    def url(self) -> str:
        return f"mqtt://{HOST}:{self._port}"

    async def start(self) -> None:
        self._port = free_port(self._port)
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.WARNING)
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, daemon=True)
        self._thread.start()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._run(), loop))

    async def _run(self) -> None:
        from amqtt.broker import Broker

        self._broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self._port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._broker.start()

    async def stop(self) -> None:
        loop = self._loop
        if loop is None:
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._broker.shutdown(), loop))
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
