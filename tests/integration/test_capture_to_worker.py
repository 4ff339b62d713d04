"""A real video through a real capture and a real worker with a real model."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_node.config import Source
from tests.conformance.worker_world import World
from tests.waiting import until

MANIFEST = """
name = "mobilenet-v2"
task = "classification"
[[variants]]
file = "mobilenet_v2_int8.tflite"
engine = "litert"
[[inputs]]
kind = "image"
fit = "stretch"
resize = "bicubic"
[[outputs]]
decode = "classification"
labels = "imagenet_labels.txt"
"""
FILES = ("mobilenet_v2_int8.tflite", "imagenet_labels.txt")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World("process", tmp_path)
    await world.start()
    yield world
    await world.close()


@pytest.fixture
def mobilenet(data: Path, tmp_path: Path) -> Path:
    """A bundle of the real model."""
    folder = tmp_path / "mobilenet"
    folder.mkdir()
    (folder / "model.toml").write_text(MANIFEST)
    for file in FILES:
        shutil.copy(data / "models" / file, folder)
    return folder


async def test_every_frame_of_the_cockatoo_is_seen_once_and_a_third_of_them_as_a_cockatoo(
    data: Path, mobilenet: Path, world: World
) -> None:
    """102 of 280 frames, as one script with the engine alone counts them."""
    await world.worker.load("m", mobilenet, "mobilenet_v2_int8.tflite", 1, 1)
    capture = await world.capture("tree", Source(str(data / "video" / "cockatoo.mp4"), realtime=False))
    await world.worker.start(world.run("birds", "m", capture))
    await until(lambda: len(world.seen) == 280, "280 answers")
    labels = Counter(one.outputs[0]["label"] for one in world.seen)  # type: ignore[index]
    ((label, count),) = labels.most_common(1)
    assert label.startswith("sulphur-crested cockatoo")
    assert 99 <= count <= 105
    assert [one.stream_time_s for one in world.seen] == pytest.approx([index / 20 for index in range(280)])
    await until(lambda: capture.report.decoded == 280, "the report")


async def test_three_models_on_one_camera_cost_one_decode(data: Path, mobilenet: Path, world: World) -> None:
    for session in ("one", "two"):
        await world.worker.load(session, mobilenet, "mobilenet_v2_int8.tflite", 1, 1)
    source = Source(str(data / "video" / "cockatoo.mp4"), fps=2, realtime=False)
    capture = await world.capture("tree", source)
    for pipeline, session in [("a", "one"), ("b", "two"), ("c", "one")]:
        await world.worker.start(world.run(pipeline, session, capture))
    await until(lambda: capture.report.state == "ended", "the end of the video")
    await until(lambda: len(world.of("a")) == 28, "the answers of the first")
    assert capture.report.decoded == 280
    assert capture.report.published == 28
    last = world.of("a")[-1].stream_time_s
    await until(lambda: all(world.of(name)[-1].stream_time_s == last for name in "bc"), "the last answers")
    for pipeline in "bc":
        seen = [one.stream_time_s for one in world.of(pipeline)]
        assert seen == [one.stream_time_s for one in world.of("a")][-len(seen) :]
