"""The limit: the bare engine in process, with as many sessions, threads and samples at once as asked.

    python bare.py MODEL [once]        # .onnx or .tflite; once: it infers at once, says so and waits

Imports nothing of Nearfield. For every line `SESSIONS THREADS BATCH SECONDS` on standard input it infers for so long
and prints a line of JSON: samples per second, and milliseconds of an inference (p50, p99).
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(int8)": "int8"}


def onnx(path: str, threads: int, batch: int) -> Callable[[], Any]:
    """An inference by ONNX Runtime."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [batch if not isinstance(axis, int) else axis for axis in entry.shape]
    given = np.random.default_rng(0).random(shape).astype(DTYPES[entry.type])
    return lambda: session.run(None, {entry.name: given})


def tflite(path: str, threads: int, batch: int) -> Callable[[], Any]:
    """An inference by LiteRT, at the saved shape."""
    from ai_edge_litert.interpreter import Interpreter

    if batch != 1:
        raise SystemExit("a .tflite file runs at the shape it was saved with")
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    entry, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    given = np.zeros(entry["shape"], entry["dtype"])

    def run() -> Any:
        interpreter.set_tensor(entry["index"], given)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    return run


def measured(runs: list[Callable[[], Any]], seconds: float) -> list[float]:
    """Milliseconds of every inference of all sessions, each in a thread of its own, over so long."""
    times: list[list[float]] = [[] for _ in runs]

    def work(run: Callable[[], Any], taken: list[float]) -> None:
        run()
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            run()
            taken.append((time.perf_counter() - begun) * 1e3)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(runs, times, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(one for taken in times for one in taken)


def main(model: str, *once: str) -> None:
    """Answer line by line."""
    opened = onnx if model.endswith(".onnx") else tflite
    if once:
        opened(model, 1, 1)()
        print("answered", flush=True)
    loaded: dict[tuple[int, int, int], list[Callable[[], Any]]] = {}
    for line in sys.stdin:
        *how, seconds = line.split()
        sessions, threads, batch = map(int, how)
        key = (sessions, threads, batch)
        runs = loaded.setdefault(key, [opened(model, threads, batch) for _ in range(sessions)])
        taken = measured(runs, float(seconds))
        middle, last = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        print(json.dumps({"per_second": len(taken) * batch / float(seconds), "p50": middle, "p99": last}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
