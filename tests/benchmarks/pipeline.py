"""Pipeline throughput ÷ the bare engine's, both with one one-thread session of the same model, interleaved.

With decoding excluded the frames come decoded, 224 x 224 (nothing to resize) and 1280 x 720; with decoding they are the
clip's, taken losslessly from a capture process.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from edge_node.capture.handle import open_capture
from edge_node.config import Source
from tests.benchmarks.figures import Figure, median
from tests.benchmarks.worked import Camera, bundle_of, counted, noise, working

ROUNDS = 3
SECONDS = 3.0
BARE = Path(__file__).with_name("bare.py")


def measure(data: Path) -> list[Figure]:
    """Ratios for both files of the model."""
    models = data / "models"
    return [
        figure
        for file in ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx")
        for figure in _of_model(models / file, models / "imagenet_labels.txt", data / "video" / "cockatoo.mp4")
    ]


def _of_model(model: Path, labels: Path, clip: Path) -> list[Figure]:
    rates: dict[str, list[float]] = {"bare": [], "224": [], "720": [], "decoding": []}
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_of(model, labels, Path(folder) / "bundle")
        for _ in range(ROUNDS):
            rates["bare"].append(bare(model)["per_second"])
            rates["224"].append(asyncio.run(_on_camera(bundle, Path(folder), 224, 224)))
            rates["720"].append(asyncio.run(_on_camera(bundle, Path(folder), 720, 1280)))
            rates["decoding"].append(asyncio.run(_on_clip(bundle, Path(folder), clip)))
    limit = median(rates["bare"])
    note = f"bare engine {limit:.0f}/s; one session, one thread"
    return [
        Figure("pipeline", f"{model.suffix} decoded 224x224", median(rates["224"]) / limit, "x", ">= 0.95", note),
        Figure("pipeline", f"{model.suffix} decoded 1280x720", median(rates["720"]) / limit, "x", ">= 0.95", note),
        Figure("pipeline", f"{model.suffix} with decoding", median(rates["decoding"]) / limit, "x", "", note),
    ]


def bare(model: Path, photo: Path | None = None, seconds: float = SECONDS) -> dict[str, float]:
    """What `bare.py` prints."""
    command = [sys.executable, str(BARE), str(model), str(seconds), *([str(photo)] if photo else [])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    report: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return report


async def _on_camera(bundle: Path, folder: Path, height: int, width: int) -> float:
    with Camera(folder / "camera.sock", noise(height, width)) as camera:
        async with working(bundle, camera.socket) as (_, answers):
            return await counted(answers, SECONDS)


async def _on_clip(bundle: Path, folder: Path, clip: Path) -> float:
    capture = open_capture("process", "clip", Source(str(clip), loop=True, realtime=False), folder)
    await capture.start()
    try:
        async with working(bundle, capture.socket) as (_, answers):
            return await counted(answers, SECONDS)
    finally:
        await capture.close()
