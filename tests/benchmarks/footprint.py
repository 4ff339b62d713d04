"""A worker's memory ÷ that of a bare script with the same engine and model (proportional set size, while inferring)."""

import asyncio
import tempfile
from pathlib import Path

from edge_node.telemetry.system import pss_kb
from tests.benchmarks.figures import Figure
from tests.benchmarks.pipeline import bare
from tests.benchmarks.worked import Camera, bundle_of, counted, noise, working


def measure(data: Path) -> list[Figure]:
    """The ratio for both files of the model."""
    models = data / "models"
    figures = []
    for file in ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx"):
        alone = bare(models / file, data / "images" / "parrot.jpg", seconds=1.0)["pss_kb"]
        with tempfile.TemporaryDirectory() as folder:
            bundle = bundle_of(models / file, models / "imagenet_labels.txt", Path(folder) / "bundle")
            worker = asyncio.run(_pss_of_worker(bundle, Path(folder)))
        note = f"worker {worker / 1024:.0f} MB, bare script {alone / 1024:.0f} MB"
        figures.append(
            Figure("footprint", f"{Path(file).suffix} worker / bare script", worker / alone, "x", "<= 1.2", note)
        )
    return figures


async def _pss_of_worker(bundle: Path, folder: Path) -> float:
    with Camera(folder / "camera.sock", noise(480, 640)) as camera:
        async with working(bundle, camera.socket) as (worker, answers):
            await counted(answers, 2.0)
            return float(pss_kb(worker.pid) or 0)
