"""A worker's memory ÷ that of a bare script with the same engine and model (proportional set size).

Both live and infer at the same time, so that libraries and the model's file are shared out alike, and both do the
same work: a frame of 640 x 480 resized for every inference. Each number is the median of a few.
"""

import asyncio
import tempfile
from pathlib import Path

from edge_node.telemetry.system import pss_kb
from tests.benchmarks.camera import Camera
from tests.benchmarks.figures import Figure, median
from tests.benchmarks.worked import MODELS, BareScript, bundle_of, running, working

ROUNDS = 3
SECONDS = 1.0


def measure(data: Path) -> list[Figure]:
    """The ratio for both files of the model."""
    figures = []
    for file in MODELS:
        worker, bare = asyncio.run(_both_kb(data / "models" / file, data))
        note = f"worker {worker / 1024:.1f} MB, bare script {bare / 1024:.1f} MB; 640x480 frames"
        name = f"{Path(file).suffix} worker / bare script"
        figures.append(Figure("footprint", name, worker / bare, "x", "<= 1.2", note))
    return figures


async def _both_kb(model: Path, data: Path) -> tuple[float, float]:
    photo = data / "images" / "parrot.jpg"
    workers: list[float] = []
    bares: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = bundle_of(model, data / "models" / "imagenet_labels.txt", folder / "bundle")
        with Camera(folder / "camera.sock", photo, 640, 480) as camera, BareScript(model, photo) as bare:
            async with working(bundle) as worker, running(worker, camera.socket):
                for _ in range(ROUNDS):
                    bares.append((await bare.measured(SECONDS, resize=True))["pss_kb"])
                    workers.append(float(pss_kb(worker.pid) or 0))
    return median(workers), median(bares)
