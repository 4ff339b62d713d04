"""The serving process's side of the conversation with its parent: see `control`."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine

import msgspec

from edge_node.framing import next_body, pack
from edge_node.numbered import Requests
from edge_node.serving.control import (
    Done,
    Failed,
    FromParent,
    FromServer,
    Index,
    Keys,
    LoadModel,
    Serve,
    Timing,
    UnloadModel,
    Withdraw,
)
from edge_node.serving.firewall.guard import Firewall
from edge_node.serving.metrics import ServingMetrics
from edge_node.serving.models import Withdrawn
from edge_node.serving.server import Server

_messages: msgspec.msgpack.Decoder[FromParent] = msgspec.msgpack.Decoder(FromParent)


class Parent:
    """The parent at the other end of the socket."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer
        self._orders: Requests[LoadModel | UnloadModel, str | None] = Requests()
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, message: FromServer) -> None:
        """Send a message."""
        self._writer.write(pack(message))

    async def load(self, model: str) -> str | None:
        """Have a model loaded; why it could not be."""
        return await self._order(LoadModel(self._orders.number(), model))

    async def unload(self, model: str) -> str | None:
        """Have a model unloaded; why it could not be."""
        return await self._order(UnloadModel(self._orders.number(), model))

    async def follow(self, reader: StreamReader, server: Server, metrics: ServingMetrics, firewall: Firewall) -> None:
        """Do what the parent says until it hangs up."""
        while (body := await next_body(reader.readexactly)) is not None:
            match _messages.decode(body):
                case Serve(number) as serve:
                    self._begin(number, server.models.serve(serve))
                case Withdraw(number, session):
                    self._begin(number, server.models.withdraw(session))
                case Index() as index:
                    server.told(index)
                case Keys(keys):
                    firewall.told(keys)
                case Timing() as timing:
                    metrics.told(timing)
                case Done(number):
                    self._orders.answered(number, None)
                case Failed(number, reason):
                    self._orders.answered(number, reason)

    def _begin(self, number: int, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(self._answer(number, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Withdrawn as error:
            self.say(Failed(number, str(error)))
        else:
            self.say(Done(number))

    async def _order(self, order: LoadModel | UnloadModel) -> str | None:
        return await self._orders.answer(order.request, order, lambda: self.say(order))
