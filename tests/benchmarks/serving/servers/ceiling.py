"""What is left of a server where nothing is between gRPC and the engine: `python ceiling.py HTTP GRPC`.

Requests are taken as bytes and looked at by nobody. For each, a byte in a pipe has one of two engine sessions, in a
process of their own as ours are, infer what it always infers; when it has, a constant is the answer. No server that
uses grpc.aio, keeps strangers' bytes out of the engine's process and answers after one engine call does less.
"""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
import uvloop

from protos.inference import grpc_service_pb2 as oip
from tests.benchmarks.serving.bare import onnx, tflite

MODEL = os.environ["MODEL"]
SESSIONS = 2
SWITCH_S = 0.0005
"""as our worker's: a thread that comes back from the engine waits no longer for the interpreter"""
MOST = 4096
"""bytes at once: more than there are ever requests"""


def work(run: Callable[[], Any], asked: int, done: int) -> None:
    """Infer once for each byte."""
    while os.read(asked, 1):
        run()
        os.write(done, b"1")


def engines(asked: int, done: int) -> None:
    """The process of the sessions, each in a thread."""
    sys.setswitchinterval(SWITCH_S)
    opened = onnx if MODEL.endswith(".onnx") else tflite
    threads = [threading.Thread(target=work, args=(opened(MODEL, 1, 1), asked, done)) for _ in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def serve(port: str, asked: int, done: int) -> None:
    """Take requests and pass a byte on for each."""
    response = oip.ModelInferResponse(model_name="m", model_version="1", raw_output_contents=[bytes(4000)])
    response.outputs.add(name="output", datatype="FP32", shape=(1, 1000))
    answer, waiting = response.SerializeToString(), deque[asyncio.Future[None]]()
    loop = asyncio.get_running_loop()

    async def infer(_request: bytes, _context: Any) -> bytes:
        turn: asyncio.Future[None] = loop.create_future()
        waiting.append(turn)
        os.write(asked, b"1")
        await turn
        return answer

    def inferred() -> None:
        for _ in os.read(done, MOST):
            turn = waiting.popleft()
            if not turn.done():  # its client has gone
                turn.set_result(None)

    loop.add_reader(done, inferred)
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def main(port: str) -> None:
    """Fork before anything has threads: the parent serves, the child infers until the parent is gone."""
    to_engine, to_server = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(to_engine[1])
        engines(to_engine[0], to_server[1])
        return
    os.close(to_engine[0])
    uvloop.run(serve(port, to_engine[1], to_server[0]))


if __name__ == "__main__":
    main(sys.argv[2])
