"""A real worker process that runs one pipeline, and the bare script beside it: what the figures of the worker share."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge_node.pipeline.observation import Observation
from edge_node.sandbox.confinement import Confinement
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


def confinement_of(bundle: Path) -> Confinement:
    """Such a bundle may be read, with what its links lead to."""
    files = {str(path.resolve().parent) for path in bundle.iterdir()}
    return Confinement(readable=(str(bundle), *files))


@dataclass
class Answers:
    """Observations as they come in, with the wall clock of their arrival at the agent's side."""

    observations: list[tuple[int, Observation]] = field(default_factory=list)

    def __call__(self, batch: Sequence[Observation]) -> None:
        """Take a batch."""
        now = time.time_ns()
        self.observations += [(now, observation) for observation in batch]


MODELS = ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx")
SETTLE_S = 0.3


@asynccontextmanager
async def working(bundle: Path) -> AsyncIterator[ProcessWorker]:
    """A worker with the bundle's only variant loaded, one session of one thread."""
    worker = ProcessWorker(confinement_of(bundle))
    await worker.start_worker()
    try:
        await worker.load("bench", bundle, bundle_variant(bundle), 1, 1)
        yield worker
    finally:
        await worker.close()


@asynccontextmanager
async def running(worker: ProcessWorker, source: Path) -> AsyncIterator[Answers]:
    """A pipeline of that session on a capture socket, after a moment to settle; its answers."""
    worker.on_observed = answers = Answers()
    await worker.start(PipelineRun("bench", "bench", str(source)))
    try:
        await asyncio.sleep(SETTLE_S)
        answers.observations.clear()
        yield answers
    finally:
        await worker.stop("bench")


async def rate(worker: ProcessWorker, source: Path, seconds: float) -> float:
    """Answers per second over a while."""
    async with running(worker, source) as answers:
        begun = time.perf_counter()
        await asyncio.sleep(seconds)
        return len(answers.observations) / (time.perf_counter() - begun)


class BareScript:
    """`bare.py` as a process that waits between measurements."""

    def __init__(self, model: Path, photo: Path) -> None:
        self._command = bare_command(model, photo)

    def __enter__(self) -> "BareScript":
        """Start it, in a session of its own as workers are, and wait for its first answer."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate()

    async def measured(self, seconds: float, *, resize: bool = False) -> dict[str, float]:
        """What it prints after inferring for so long."""
        return await asyncio.to_thread(self._ask, f"{seconds}{' resize' * resize}")

    def _ask(self, line: str) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        report: dict[str, float] = json.loads(self._process.stdout.readline())
        return report


def bare_command(model: Path, photo: Path) -> list[str]:
    """The command of the bare script."""
    return [sys.executable, str(Path(__file__).with_name("bare.py")), str(model), str(photo)]
