"""ModelInfer and ModelStreamInfer: bytes in, bytes out.

ModelInfer is a stream of one request here (the wire is the same), for its message to have a time limit: a call whose
message never comes holds nothing for long.
"""

import asyncio
import time

import grpc

from edge_node.serving.inference import Caller, Inference, ServingError
from edge_node.serving.rpc.answer import answer, streamed_answer, streamed_failure
from edge_node.serving.rpc.edge import Context, Edge, unexpected
from edge_node.serving.rpc.patience import Patience
from edge_node.serving.rpc.question import inference_of
from edge_node.serving.seam import Serving
from edge_node.serving.settings import ServingSettings

EOF = grpc.aio.EOF


class Inferring:
    """Answers both calls."""

    def __init__(self, serving: Serving, edge: Edge, settings: ServingSettings, patience: Patience) -> None:
        self._serving = serving
        self._edge = edge
        self._settings = settings
        self._patience = patience

    async def infer(self, _: object, context: Context) -> bytes:
        """ModelInfer."""
        return await self._edge.answered(context, self._infer(context))

    async def _infer(self, context: Context) -> bytes:
        with self._edge.admit(context, "infer") as caller:
            try:
                message = await self._patience.message(context)
            except ServingError as error:
                self._serving.refused(error.cause)
                raise
            return answer(await self._serving.infer(self._question(message, context), caller))

    def _question(self, message: bytes, context: Context) -> Inference:
        try:
            return inference_of(message, time.monotonic_ns(), context.time_remaining())
        except ServingError as error:
            self._serving.refused(error.cause)  # `Serving.infer` does not see it
            raise

    async def stream(self, _: object, context: Context) -> None:
        """ModelStreamInfer."""
        await self._edge.answered(context, self._stream(context))

    async def _stream(self, context: Context) -> None:
        with self._edge.admit(context, "infer") as caller:
            await self._answer_all(caller, Turn(context))

    async def _answer_all(self, caller: Caller, turn: "Turn") -> None:
        """Requests are answered at the same time, each as soon as it can be; more than a bound are not read."""
        room = asyncio.Semaphore(self._settings.stream_requests)
        try:
            async with asyncio.TaskGroup() as tasks:
                await room.acquire()
                while (message := await turn.context.read()) is not EOF:
                    task = tasks.create_task(self._answer_one(message, caller, turn))
                    task.add_done_callback(lambda _: room.release())
                    await room.acquire()
        except* ServingError as errors:
            refusal = errors.exceptions[0]
        else:
            return
        raise refusal

    async def _answer_one(self, message: bytes, caller: Caller, turn: "Turn") -> None:
        """One request of a stream. It may fail, the others go on."""
        asked = ""
        try:
            self._edge.charge(caller)
            inference = self._question(message, turn.context)
            asked = inference.id
            await turn.write(streamed_answer(await self._serving.infer(inference, caller)))
        except ServingError as error:
            await turn.fail(error, asked)
        except Exception as error:  # noqa: BLE001 - the boundary to clients, which reports
            await turn.fail(unexpected(error), asked)


class Turn:
    """Writes to a stream, one message after the other."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._lock = asyncio.Lock()
        self._status = ("triton_grpc_error", "true") in (context.invocation_metadata() or ())

    async def write(self, message: bytes) -> None:
        """Send an answer."""
        async with self._lock:
            await self.context.write(message)

    async def fail(self, error: ServingError, asked: str) -> None:
        """Say that a request has no answer: as a message, or as the stream's end where the client wants that.

        Source: Triton's `triton_grpc_error` metadata.
        """
        if self._status:
            raise error
        await self.write(streamed_failure(error.reason, asked))
