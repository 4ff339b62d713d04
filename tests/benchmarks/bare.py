"""The bare engine: what a few lines of Python with the same engine and model do. The control arm of every ratio.

    python bare.py MODEL SECONDS [PHOTO]

Runs in a process of its own, imports nothing of Nearfield, and prints one JSON line: inferences per second, p50 and p95
in milliseconds, proportional set size in kB, and the wall clock (nanoseconds since 1970) of the first answer. With a
photo the first answer is of that photo, decoded and resized as the pipeline does it.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def onnx(path: str) -> tuple[Callable[[Any], Any], tuple[int, ...], str]:
    """A one-thread ONNX Runtime session as a function, the input's shape and dtype."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    dtype = {"tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(float)": "float32"}[entry.type]
    return (lambda tensor: session.run(None, {entry.name: tensor})), tuple(entry.shape), dtype


def tflite(path: str) -> tuple[Callable[[Any], Any], tuple[int, ...], str]:
    """A one-thread LiteRT interpreter as a function, the input's shape and dtype."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    entry, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(tensor: Any) -> Any:
        interpreter.set_tensor(entry["index"], tensor)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    return run, tuple(int(axis) for axis in entry["shape"]), np.dtype(entry["dtype"]).name


def first_input(shape: tuple[int, ...], dtype: str, photo: str | None) -> Any:
    """A photo as the model wants it, or noise."""
    if photo is None:
        return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    from PIL import Image

    image = Image.open(photo).convert("RGB").resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype)[None]


def pss_kb() -> int:
    """The proportional set size of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main(model: str, seconds: float, photo: str | None) -> None:
    """Run and print."""
    run, shape, dtype = (onnx if model.endswith(".onnx") else tflite)(model)
    tensor = first_input(shape, dtype, photo)
    run(tensor)
    first_answer_ns = time.time_ns()
    for _ in range(5):
        run(tensor)
    times, end = [], time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        run(tensor)
        times.append(time.perf_counter() - begun)
    times.sort()
    report = {
        "per_second": len(times) / sum(times) if times else 0.0,
        "p50_ms": 1000 * times[len(times) // 2] if times else 0.0,
        "p95_ms": 1000 * times[int(len(times) * 0.95)] if times else 0.0,
        "pss_kb": pss_kb(),
        "first_answer_ns": first_answer_ns,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
