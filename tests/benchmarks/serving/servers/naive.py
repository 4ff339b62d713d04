"""What one writes in an afternoon: the protocol over gRPC in forty lines. `python naive.py threads|aio HTTP GRPC`."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from engine import session

from protos.inference import grpc_service_pb2 as oip
from protos.inference.datatypes import NUMPY
from protos.inference.grpc_service_pb2_grpc import add_GRPCInferenceServiceServicer_to_server as add

SESSION, POOL = session(), ThreadPoolExecutor(2)
OPTIONS = [("grpc.max_receive_message_length", 64 << 20)]


def answer(request: Any) -> Any:
    """One inference."""
    given = request.inputs[0]
    values = np.frombuffer(request.raw_input_contents[0], NUMPY[given.datatype]).reshape(tuple(given.shape))
    result = SESSION.run(None, {given.name: values})[0]
    response = oip.ModelInferResponse(model_name=request.model_name, model_version="1", id=request.id)
    response.outputs.add(name="output", datatype="FP32", shape=result.shape)
    response.raw_output_contents.append(result.tobytes())
    return response


class Threads:
    """A thread per request."""

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Answer."""
        return answer(request)

    def __getattr__(self, name: str) -> Any:
        return None


class Aio(Threads):
    """An event loop, and two threads for the engine."""

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Answer."""
        return await asyncio.get_running_loop().run_in_executor(POOL, answer, request)


async def aio(port: str) -> None:
    """Serve."""
    server = grpc.aio.server(options=OPTIONS)
    add(Aio(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if sys.argv[1] == "aio":
    asyncio.run(aio(sys.argv[3]))
else:
    server = grpc.server(ThreadPoolExecutor(8), options=OPTIONS)
    add(Threads(), server)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[3]}")
    server.start()
    server.wait_for_termination()
