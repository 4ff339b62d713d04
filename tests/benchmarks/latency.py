"""Capture to result on the real MobileNetV2, at 20 frames a second, which the engine can keep.

From the camera's wall clock at capture to the observation in the agent; the outbox commit that follows is in the
durable figures.
"""

import asyncio
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.worked import Camera, bundle_of, noise, working

RATE = 20.0
SECONDS = 8.0


def measure(data: Path) -> list[Figure]:
    """p50 and p95 for both files of the model."""
    models = data / "models"
    figures = []
    for file in ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx"):
        with tempfile.TemporaryDirectory() as folder:
            bundle = bundle_of(models / file, models / "imagenet_labels.txt", Path(folder) / "bundle")
            times = asyncio.run(_times_ms(bundle, Path(folder)))
        note = f"1280x720 at {RATE:.0f} fps, {len(times)} frames"
        suffix = Path(file).suffix
        figures.append(Figure("latency", f"{suffix} capture to result p50", percentile(times, 50), "ms", "", note))
        figures.append(Figure("latency", f"{suffix} capture to result p95", percentile(times, 95), "ms", "<= 50", note))
    return figures


async def _times_ms(bundle: Path, folder: Path) -> list[float]:
    with Camera(folder / "camera.sock", noise(720, 1280), RATE) as camera:
        async with working(bundle, camera.socket) as (_, answers):
            await asyncio.sleep(SECONDS)
            return [(arrived - seen.captured_ns) / 1e6 for arrived, seen in answers.observations]
