"""The bare engine: what a few lines of Python with the same engine and model do. The control arm of every ratio.

    python bare.py MODEL PHOTO

Imports nothing of Nearfield. Prints one line when it has the first answer, to the photo as the pipeline decodes and
resizes it. Then, for every line `SECONDS` or `SECONDS resize` on standard input, it infers for so long (the same input
again, or the photo at 640 x 480 resized each time) and prints a line of JSON: inferences per second, and its
proportional set size in kB at the end.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FRAME = (640, 480)


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


def tensor_of(image: Image.Image, shape: tuple[int, ...], dtype: str) -> Any:
    """A picture as the model wants it."""
    return np.asarray(image.resize((shape[2], shape[1]), Image.Resampling.BILINEAR), dtype)[None]


def pss_kb() -> int:
    """The proportional set size of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def measured(once: Callable[[], object], seconds: float) -> str:
    """Infer for a while; the line of JSON."""
    count, begun = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < seconds:
        once()
        count += 1
    return json.dumps({"per_second": count / elapsed, "pss_kb": pss_kb()})


def main(model: str, photo: str) -> None:
    """Run and print."""
    run, shape, dtype = (onnx if model.endswith(".onnx") else tflite)(model)
    image = Image.open(photo).convert("RGB")
    tensor = tensor_of(image, shape, dtype)
    run(tensor)
    print("first answer", flush=True)
    frame = np.asarray(image.resize(FRAME))
    del image
    for line in sys.stdin:
        seconds, _, resize = line.strip().partition(" ")
        if resize:
            print(measured(lambda: run(tensor_of(Image.fromarray(frame), shape, dtype)), float(seconds)), flush=True)
        else:
            print(measured(lambda: run(tensor), float(seconds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
