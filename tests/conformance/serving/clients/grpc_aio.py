"""The asyncio client: calls side by side, and a stream."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import tritonclient.grpc.aio as grpcclient
from tritonclient.utils import InferenceServerException


def inputs(value: int) -> list[Any]:
    """Two tensors full of a value."""
    tensors = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    for tensor in tensors:
        tensor.set_data_from_numpy(np.full((1, 16), value, dtype=np.int32))
    return tensors


async def requests(count: int) -> AsyncIterator[dict[str, Any]]:
    """What a stream sends."""
    for number in range(count):
        yield {"model_name": "simple", "inputs": inputs(number), "request_id": str(number)}


async def main(url: str) -> None:
    """Ask."""
    async with grpcclient.InferenceServerClient(url=url) as client:
        assert await client.is_server_ready()
        results = await asyncio.gather(*(client.infer("simple", inputs(number)) for number in range(20)))
        for number, result in enumerate(results):
            assert (result.as_numpy("OUTPUT0") == 2 * number).all()
        seen = 0
        async for result, error in client.stream_infer(requests(20)):
            assert error is None
            assert (result.as_numpy("OUTPUT0") == 2 * int(result.get_response().id)).all()
            seen += 1
        assert seen == 20
        try:
            await client.infer("wrong_model_name", inputs(1))
        except InferenceServerException as error:
            assert error.status() == "StatusCode.NOT_FOUND", error
        else:
            raise AssertionError("a model that is not there")


asyncio.run(main(sys.argv[1]))
print("PASS: aio")
