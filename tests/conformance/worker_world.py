"""What tests of captures and workers stand on: stub bundles, photos whose stream time is their number, waiting."""

import json
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image

from edge_node.capture.handle import Capture, open_capture
from edge_node.config import Source
from edge_node.pipeline.observation import Observation
from edge_node.sandbox.confinement import Confinement
from edge_node.worker.handle import new_worker
from edge_node.worker.messages import LaneStatus, PipelineRun, PipelineStatus, Worker

Isolation = Literal["process", "thread"]


MANIFEST = """
name = "{name}"
task = "classification"
[[variants]]
file = "model.stub"
engine = "stub"
[[inputs]]
kind = "image"
[[outputs]]
decode = "classification"
"""


def stub_bundle(folder: Path, **behaviour: float) -> Path:
    """A bundle whose one variant is the stub engine's: always class 1; `behaviour` as the `.stub` file's."""
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(MANIFEST.format(name=folder.name))
    model = {
        "inputs": [{"name": "x", "dtype": "uint8", "shape": [1, 8, 8, 3]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [1, 4], "values": [0.1, 0.7, 0.2, 0.0]}],
    }
    (folder / "model.stub").write_text(json.dumps({**model, **behaviour}))
    return folder


RECURRENT = """
name = "recurrent"
task = "tensor"
[[variants]]
file = "model.stub"
engine = "stub"
[[inputs]]
name = "x"
kind = "image"
[[inputs]]
name = "state"
kind = "state"
from = "next"
[[outputs]]
name = "y"
decode = "tensor"
"""


def recurrent_bundle(folder: Path) -> Path:
    """A bundle whose answer is the sum of the frame and of a state, which is the answer before."""
    folder.mkdir()
    (folder / "model.toml").write_text(RECURRENT)
    tensors = {name: {"name": name, "dtype": "float32", "shape": [1, 1]} for name in ("state", "y", "next")}
    frame = {"name": "x", "dtype": "uint8", "shape": [1, 8, 8, 3]}
    model = {"inputs": [frame, tensors["state"]], "outputs": [tensors["y"], tensors["next"]]}
    (folder / "model.stub").write_text(json.dumps(model))
    return folder


def photos(folder: Path, count: int, size: int = 8) -> Path:
    """A folder of grey photos; the number of a photo is its stream time in seconds, and its grey value."""
    folder.mkdir()
    for number in range(count):
        picture = np.full((size, size, 3), number % 251, np.uint8)
        Image.fromarray(picture).save(folder / f"{number:05d}.png")
    return folder


def clip(file: Path, count: int) -> Path:
    """A video of frames that differ."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for number in range(count):
            picture = np.full((16, 16, 3), 40 * (number + 1), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file


class World:
    """A worker and captures of one isolation, and everything that was observed."""

    def __init__(self, isolation: Isolation, folder: Path) -> None:
        self.isolation = isolation
        self.folder = folder
        self.confinement = Confinement(readable=(str(folder),))
        self.seen: list[Observation] = []
        self.deaths: list[str] = []
        self.captures: list[Capture] = []
        self.worker: Worker = new_worker(isolation, self.confinement)

    async def start(self, worker: Worker | None = None) -> None:
        """Start the worker, or another one."""
        self.worker = worker or self.worker
        self.worker.on_observed = self.seen.extend
        self.worker.on_exit = self.deaths.append
        await self.worker.start_worker()

    async def capture(self, name: str, source: Source) -> Capture:
        """A capture that runs."""
        capture = open_capture(self.isolation, name, source, self.folder)
        self.captures.append(capture)
        await capture.start()
        return capture

    async def load(self, session: str, **behaviour: float) -> None:
        """A stub model, loaded."""
        bundle = stub_bundle(self.folder / f"bundle-{session}", **behaviour)
        await self.worker.load(session, bundle, "model.stub", 1, 1)

    def run(self, name: str, session: str, capture: Capture) -> PipelineRun:
        """What `start` and `switch` are given."""
        return PipelineRun(name, session, str(capture.socket))

    def of(self, pipeline: str) -> list[Observation]:
        """What a pipeline has observed."""
        return [one for one in self.seen if one.pipeline == pipeline]

    def status(self, pipeline: str) -> PipelineStatus | None:
        """A pipeline's newest status."""
        found = () if self.worker.status is None else self.worker.status.pipelines
        return next((one for one in found if one.name == pipeline), None)

    def lane_status(self, session: str) -> LaneStatus:
        """The newest status of a session's lane."""
        found = () if self.worker.status is None else self.worker.status.lanes
        return next((one for one in found if one.session == session), LaneStatus(session, True, 0, 0))

    async def close(self) -> None:
        """End everything."""
        await self.worker.close()
        for capture in self.captures:
            await capture.close()
