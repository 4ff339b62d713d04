"""A server with stub workers in this process: what the tests of the serving process's core share."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from edge_node.lane.messages import Answer, Ask, Hello
from edge_node.serving.control import Batching, Serve
from edge_node.serving.inference import Caller, Inference, InputTensor
from edge_node.serving.lanes import Lanes, bind_lanes
from edge_node.serving.server import Server
from edge_node.serving.settings import ServingSettings
from tests.unit.serving.stub_worker import HELLO, StubWorker, echo

HERE = Caller("127.0.0.1:1")


async def _refuse(model: str) -> str | None:
    return f"no {model} here"


class World:
    """A server and its workers."""

    def __init__(self, settings: ServingSettings) -> None:
        self.settings = settings
        self.server = Server(settings, _refuse, _refuse)
        self.workers: list[StubWorker] = []

    def worker(self, hello: Hello = HELLO, answer: Callable[[Ask, memoryview], Answer] = echo) -> StubWorker:
        """One more worker, which connects."""
        worker = StubWorker(self.settings.lanes, hello, answer)
        self.workers.append(worker)
        return worker

    async def serve(
        self,
        hello: Hello = HELLO,
        answer: Callable[[Ask, memoryview], Answer] = echo,
        *,
        model: str = "m",
        version: str = "1",
        batching: Batching | None = None,
    ) -> StubWorker:
        """A worker whose session answers for a model's version."""
        worker = self.worker(hello, answer)
        await self.server.models.serve(Serve(1, model, version, hello.session, "stub", batching or Batching()))
        return worker


@asynccontextmanager
async def world(folder: Path, **settings: object) -> AsyncIterator[World]:
    """A server that takes workers below a folder."""
    here = World(ServingSettings(lanes=str(folder / "lanes"), **settings))  # type: ignore[arg-type] # by name
    lanes = Lanes(here.settings, here.server.region_table, here.server.models.connected)
    lanes.listen(bind_lanes(here.settings))
    try:
        yield here
    finally:
        for worker in here.workers:
            worker.close()
        await here.server.models.drain()
        lanes.close()


def ask(data: bytes = b"abcd", model: str = "m", **more: object) -> Inference:
    """An inference of rows of four bytes."""
    x = InputTensor("x", "UINT8", (len(data) // 4, 4), data)
    return Inference(model, "", (x,), **more)  # type: ignore[arg-type] # by name
