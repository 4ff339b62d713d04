"""A network camera that comes, goes and comes back: GStreamer's RTSP server on loopback."""

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from edge_node.capture.handle import Capture
from edge_node.config import Source
from tests.conformance.worker_world import World
from tests.waiting import until

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parent / "rtsp_server.py"
PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of H.264 at 20 fps, a key frame each half second; a bar that moves."""
    if subprocess.run([PYTHON, "-c", PROBE], capture_output=True).returncode != 0:
        needed = "GStreamer's RTSP server for the system's Python (apt: gir1.2-gst-rtsp-server-1.0, python3-gi)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"needs {needed}: CI must install it", pytrace=False)
        pytest.skip(f"needs {needed}")
    file = tmp_path_factory.mktemp("rtsp") / "clip.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast", "g": "10", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(1200):
            picture = np.zeros((120, 160, 3), np.uint8)
            picture[:, number % 150 : number % 150 + 10] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file


@contextmanager
def camera(clip: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A camera that is switched on; its process and its port."""
    command = [PYTHON, str(SERVER), str(clip), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World("process", tmp_path)
    await world.start()
    await world.load("a")
    yield world
    await world.close()


async def watched(world: World, port: int) -> Capture:
    """A pipeline on the camera."""
    capture = await world.capture("door", Source(f"rtsp://user:secret@127.0.0.1:{port}/camera"))
    await world.worker.start(world.run("door", "a", capture))
    return capture


async def test_a_camera_that_is_switched_off_and_on_again_is_seen_again(clip: Path, world: World) -> None:
    with camera(clip) as (_, port):
        capture = await watched(world, port)
        await until(lambda: len(world.seen) >= 10, "frames of the camera")
        assert capture.report.state == "connected"
    await until(lambda: capture.report.state.startswith("lost"), "the loss")
    lost = r"lost: rtsp://…@127\.0\.0\.1:\d+/camera: (connection refused|the stream ended|.+); retrying in \d+\.\d s"
    assert re.fullmatch(lost, capture.report.state)
    await until(lambda: "lost" in getattr(world.status("door"), "source_state", ""), "the pipeline hears of it")
    with camera(clip, port):
        seen = len(world.seen)
        await until(lambda: len(world.seen) >= seen + 10, "frames after the return")
        assert capture.report.state == "connected"
    assert not world.deaths


async def test_a_camera_that_falls_silent_is_noticed_in_seconds(clip: Path, world: World) -> None:
    with camera(clip) as (process, port):
        capture = await watched(world, port)
        await until(lambda: len(world.seen) >= 5, "frames of the camera")
        process.send_signal(signal.SIGSTOP)
        await until(lambda: capture.report.state.startswith("lost"), "the silence is noticed")
        assert re.search(r"nothing came for \d+ s; retrying in", capture.report.state)
        process.send_signal(signal.SIGCONT)
        seen = len(world.seen)
        await until(lambda: len(world.seen) >= seen + 5, "frames after the silence")


async def test_a_camera_that_is_not_there_yet_is_waited_for(clip: Path, world: World) -> None:
    with camera(clip) as (_, port):
        pass
    capture = await watched(world, port)
    await until(lambda: "connection refused" in capture.report.state, "the refusal")
    with camera(clip, port):
        await until(lambda: len(world.seen) >= 5, "frames")


async def test_a_password_is_not_on_the_command_line_of_the_capture(clip: Path, world: World) -> None:
    with camera(clip) as (_, port):
        await watched(world, port)
        await until(lambda: len(world.seen) >= 1, "a frame")
        mine = [line for line in processes() if "edge_node.capture" in line]
        assert mine
        assert not any("secret" in line for line in mine)


def processes() -> list[str]:
    """Every command line, as `ps` shows it."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has just ended
    return lines
