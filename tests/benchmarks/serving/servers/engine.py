"""What every other server runs: one ONNX Runtime session of one thread. NOOP=1 answers without inference."""

import os
from typing import Any

import numpy as np

MODEL = os.environ["MODEL"]


class Nothing:
    """A session that answers with zeros."""

    def run(self, outputs: Any, feeds: dict[str, Any]) -> list[Any]:
        """As a session's."""
        return [np.zeros((len(next(iter(feeds.values()))), 10), np.float32)]


def session() -> Any:
    """A session, or `Nothing`."""
    if os.environ.get("NOOP"):
        return Nothing()
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def shape_and_type() -> tuple[list[int], type[Any]]:
    """Of one sample of the model's input."""
    import onnxruntime as ort

    entry = ort.InferenceSession(MODEL, providers=["CPUExecutionProvider"]).get_inputs()[0]
    types: dict[str, type[Any]] = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}
    return [int(axis) for axis in entry.shape[1:]], types[entry.type]
