"""A real worker process that runs one pipeline on frames that the benchmark serves: what the pipeline figures share."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import numpy as np

from edge_node.capture.frames import RGB, Decoded
from edge_node.capture.server import FrameServer
from edge_node.pipeline.observation import Observation
from edge_node.worker.client import ProcessWorker
from edge_node.worker.messages import PipelineRun

MANIFEST_TEXT = """\
name = "mobilenet-v2"
task = "classification"

[[variants]]
file = "{file}"
engine = "{engine}"

[[inputs]]
kind = "image"

[[outputs]]
decode = "classification"
labels = "labels.txt"
"""


def bundle_of(model: Path, labels: Path, folder: Path) -> Path:
    """A bundle folder around one model file, by symbolic links."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = "onnxruntime" if model.suffix == ".onnx" else "litert"
    for name, target in ((model.name, model), ("labels.txt", labels)):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    (folder / "model.toml").write_text(MANIFEST_TEXT.format(file=model.name, engine=engine), encoding="utf-8")
    return folder


def bundle_variant(bundle: Path) -> str:
    """The one model file of such a bundle."""
    return next(path.name for path in bundle.iterdir() if path.suffix in {".onnx", ".tflite"})


@dataclass
class Answers:
    """Observations as they come in, with the wall clock of their arrival at the agent's side."""

    observations: list[tuple[int, Observation]] = field(default_factory=list)

    def __call__(self, batch: Sequence[Observation]) -> None:
        """Take a batch."""
        now = time.time_ns()
        self.observations += [(now, observation) for observation in batch]


@asynccontextmanager
async def working(bundle: Path, source: Path, *, instances: int = 1) -> AsyncIterator[tuple[ProcessWorker, Answers]]:
    """A worker with the bundle's only variant loaded and a pipeline on the capture socket `source`."""
    worker, answers = ProcessWorker(), Answers()
    worker.on_observed = answers
    await worker.start_worker()
    try:
        await worker.load("bench", bundle, bundle_variant(bundle), 1, instances)
        await worker.start(PipelineRun("bench", "bench", str(source)))
        yield worker, answers
    finally:
        await worker.close()


class Camera:
    """Serves the same decoded frame, as fast as it is taken (lossless) or at a rate (newest wins)."""

    def __init__(self, socket: Path, frame: RGB, rate: float | None = None) -> None:
        self.socket = socket
        self._server = FrameServer(socket, lossless=rate is None)
        self._frame = frame
        self._rate = rate
        self._on = True
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Camera":
        """Listen and serve."""
        self._server.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._on = False
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        begun, number = time.perf_counter(), 0
        give: Callable[[], RGB] = lambda: self._frame  # noqa: E731 a frame that costs nothing to decode
        while self._on:
            if self._rate is not None:
                time.sleep(max(0.0, begun + number / self._rate - time.perf_counter()))
            self._server.offer(Decoded(number / (self._rate or 1.0), time.time_ns(), 0, give))
            number += 1


def noise(height: int, width: int) -> RGB:
    """A frame of noise, RGB uint8 HWC."""
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


async def counted(answers: Answers, seconds: float) -> float:
    """Answers per second over a while, after half a second to settle."""
    await asyncio.sleep(0.5)
    before, begun = len(answers.observations), time.perf_counter()
    await asyncio.sleep(seconds)
    return (len(answers.observations) - before) / (time.perf_counter() - begun)
