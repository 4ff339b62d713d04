"""NVIDIA Triton as PyTriton brings it, with dynamic batching: `python triton.py HTTP GRPC`."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from engine import session, shape_and_type
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def instance() -> Callable[..., Any]:
    """A session as a function."""
    loaded = session()

    @batch
    def infer(**feeds: Any) -> dict[str, Any]:
        return {"output": loaded.run(None, feeds)[0]}

    return infer


def main() -> None:
    """Serve."""
    shape, dtype = shape_and_type()
    host = "127.0.0.1"
    config = TritonConfig(
        http_port=int(sys.argv[1]),
        grpc_port=int(sys.argv[2]),
        http_address=host,
        grpc_address=host,
        allow_metrics=False,
    )
    with Triton(config=config) as server:
        server.bind(
            model_name="m",
            infer_func=[instance(), instance()],
            inputs=[Tensor(name="input", dtype=dtype, shape=tuple(shape))],
            outputs=[Tensor(name="output", dtype=np.float32, shape=(-1,))],
            config=ModelConfig(max_batch_size=16, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
            strict=False,
        )
        server.serve()


if __name__ == "__main__":
    main()
