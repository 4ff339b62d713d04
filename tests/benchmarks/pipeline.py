"""Pipeline throughput ÷ the bare engine's, both with one one-thread session of the same model.

Both processes live throughout and take turns of a second; the figure is the median of the ratios of neighbouring
turns, so that what else the machine does touches both sides alike. With decoding excluded the frames come decoded,
224 x 224 (nothing to resize) and 1280 x 720, from a camera process that only copies them; with decoding they are the
clip's, taken losslessly from a capture process.
"""

import asyncio
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

from edge_node.capture.handle import open_capture
from edge_node.config import Source
from tests.benchmarks.camera import Camera
from tests.benchmarks.figures import Figure, median
from tests.benchmarks.worked import MODELS, BareScript, bundle_of, rate, working

ROUNDS = 7
SECONDS = 1.0
SIZES = {"decoded 224x224": (224, 224), "decoded 1280x720": (1280, 720)}


def measure(data: Path) -> list[Figure]:
    """Ratios for both files of the model."""
    return [figure for file in MODELS for figure in asyncio.run(_of_model(data / "models" / file, data))]


async def _of_model(model: Path, data: Path) -> list[Figure]:
    ratios: dict[str, list[float]] = defaultdict(list)
    limits: list[float] = []
    photo = data / "images" / "parrot.jpg"
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bare = stack.enter_context(BareScript(model, photo))
        sources = {
            name: stack.enter_context(Camera(folder / f"{size[1]}.sock", photo, *size)).socket
            for name, size in SIZES.items()
        }
        clip = Source(str(data / "video" / "cockatoo.mp4"), loop=True, realtime=False)
        capture = open_capture("process", "clip", clip, folder)
        await capture.start()
        stack.push_async_callback(capture.close)
        sources["with decoding"] = capture.socket
        bundle = bundle_of(model, data / "models" / "imagenet_labels.txt", folder / "bundle")
        worker = await stack.enter_async_context(working(bundle))
        for _ in range(ROUNDS):
            for name, source in sources.items():
                limits.append((await bare.measured(SECONDS))["per_second"])
                ratios[name].append(await rate(worker, source, SECONDS) / limits[-1])
    note = f"bare engine {median(limits):.0f}/s; one session, one thread"
    return [
        Figure("pipeline", f"{model.suffix} {name}", median(each), "x", ">= 0.95" if name in SIZES else "", note)
        for name, each in ratios.items()
    ]
