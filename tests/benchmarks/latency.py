"""Capture to result on the real MobileNetV2, at 20 frames a second, which the engine can keep.

From the camera's wall clock at capture to the observation in the agent; what follows, the outbox's commit and the live
message, is in the figures of `live`.
"""

import asyncio
import tempfile
from pathlib import Path

from tests.benchmarks.camera import Camera
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.worked import MODELS, bundle_of, running, working

RATE = 20.0
SECONDS = 8.0


def measure(data: Path) -> list[Figure]:
    """p50 and p95 for both files of the model."""
    figures = []
    for file in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            model = data / "models" / file
            bundle = bundle_of(model, data / "models" / "imagenet_labels.txt", Path(folder) / "bundle")
            times = asyncio.run(_times_ms(bundle, Path(folder), data / "images" / "parrot.jpg"))
        note = f"1280x720 at {RATE:.0f} fps, {len(times)} frames"
        suffix = Path(file).suffix
        figures.append(Figure("latency", f"{suffix} capture to result p50", percentile(times, 50), "ms", "", note))
        figures.append(Figure("latency", f"{suffix} capture to result p95", percentile(times, 95), "ms", "<= 50", note))
    return figures


async def _times_ms(bundle: Path, folder: Path, photo: Path) -> list[float]:
    with Camera(folder / "camera.sock", photo, 1280, 720, RATE) as camera:
        async with working(bundle) as worker, running(worker, camera.socket) as answers:
            await asyncio.sleep(SECONDS)
            return [(arrived - seen.captured_ns) / 1e6 for arrived, seen in answers.observations]
