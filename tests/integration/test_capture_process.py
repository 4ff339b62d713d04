"""The capture process: it ends with the agent, comes back when it dies, and says how it is."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_node.capture.child import ProcessCapture
from edge_node.capture.client import FrameClient
from edge_node.config import Source
from tests.conformance.worker_world import World, photos
from tests.waiting import until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World("process", tmp_path)
    await world.start()
    await world.load("a")
    yield world
    await world.close()


def pid_of(capture: object) -> int:
    assert isinstance(capture, ProcessCapture)
    assert capture.pid is not None
    return capture.pid


async def test_a_capture_that_is_killed_comes_back_and_its_pipelines_go_on(world: World) -> None:
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 1)), fps=50, loop=True))
    deaths: list[str] = []
    capture.on_exit = deaths.append
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) >= 5, "answers")
    killed = pid_of(capture)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: "killed by SIGKILL; starting again in" in capture.report.state, "the state says so")
    seen = len(world.seen)
    await until(lambda: len(world.seen) >= seen + 5, "answers again")
    assert deaths == ["failed: the capture was killed by SIGKILL"]
    assert pid_of(capture) != killed
    assert not world.deaths


async def test_a_file_that_is_not_there_yet_is_tried_again_until_it_is(world: World) -> None:
    file = world.folder / "late.png"
    capture = await world.capture("line", Source(str(file)))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: capture.report.state.startswith(f"failed: no photo at {file}"), "the reason")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file)
    await until(lambda: len(world.seen) == 1, "the photo is seen")


async def test_a_source_that_cannot_be_is_told_in_the_state(world: World) -> None:
    capture = await world.capture("line", Source("http://camera/stream"))
    await until(lambda: "http:// is not supported" in capture.report.state, "the reason")


async def test_photos_of_different_sizes_come_through_one_subscription(world: World) -> None:
    folder = world.folder / "p"
    folder.mkdir()
    sizes = [(8, 8), (480, 640), (4, 4), (720, 1280), (480, 640)]
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(np.full((height, width, 3), number, np.uint8)).save(folder / f"{number}.png")
    capture = await world.capture("line", Source(str(folder), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) == len(sizes), "all photos")
    frames = [one.frame for one in world.seen]
    assert [(frame.height, frame.width) for frame in frames if frame is not None] == sizes


async def test_frames_that_nobody_waits_for_are_not_converted(world: World) -> None:
    """A subscriber that takes one frame and then rests costs one conversion, whatever the source's rate."""
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 2)), fps=100, loop=True))
    with FrameClient(str(capture.socket)) as frames:
        assert frames.next(10) is not None
        await until(lambda: capture.report.decoded > 50, "the source goes on")
        assert capture.report.published == 1
        assert frames.next(10) is not None
        assert frames.dropped > 30


def spawn(source: str, folder: Path) -> "subprocess.Popen[bytes]":
    """A capture as the agent starts it, with this test as the agent."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_node.capture"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    config = {"name": "x", "source": {"url": source}, "socket": str(folder / "x.sock")}
    assert process.stdin is not None
    process.stdin.write(json.dumps(config).encode() + b"\n")
    process.stdin.flush()
    return process


@pytest.mark.parametrize("source", ["/dev/video9", "rtsp://127.0.0.1:1/x"])
def test_it_ends_when_the_agent_goes_away_and_removes_its_socket(source: str, tmp_path: Path) -> None:
    with spawn(source, tmp_path) as process:
        assert process.stdout is not None
        assert b"state" in process.stdout.readline()
        assert (tmp_path / "x.sock").is_socket()
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait(10) == 0
    assert not (tmp_path / "x.sock").exists()


def test_captures_and_workers_end_with_an_agent_that_is_killed(tmp_path: Path) -> None:
    """Also a capture that hangs: the kernel ends it."""
    script = f"""
import asyncio, os, signal
from pathlib import Path
from edge_node.capture.child import ProcessCapture
from edge_node.config import Source
from edge_node.sandbox.confinement import Confinement
from edge_node.worker.client import ProcessWorker
async def main():
    capture = ProcessCapture("x", Source("/dev/video9"), Path({str(tmp_path)!r}))
    worker = ProcessWorker(Confinement())
    await capture.start()
    await worker.start_worker()
    while worker.status is None:
        await asyncio.sleep(0.01)
    os.kill(capture.pid, signal.SIGSTOP)
    os.kill(worker.pid, signal.SIGSTOP)
    print(capture.pid, worker.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        children = [int(pid) for pid in agent.stdout.readline().split()]
        agent.kill()
        agent.wait()
    assert len(children) == 2
    for child in children:
        wait_for_end(child)


def wait_for_end(pid: int) -> None:
    """A process that is not our child: it is gone, or waits to be reaped."""
    import time

    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)
