"""One suite for every kind of source; live kinds against what a machine without cameras has."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest
from PIL import Image

from edge_node.capture.frames import RGB, Decoded
from edge_node.capture.sources import open_source
from edge_node.config import Source
from edge_node.errors import BadInput

SIZE = (48, 64)
FRAMES = 12


def picture(number: int) -> RGB:
    """A flat grey that survives every codec."""
    return np.full((*SIZE, 3), 20 * number, np.uint8)


def photo(folder: Path) -> tuple[Source, int]:
    Image.fromarray(picture(0)).save(folder / "one.png")
    return Source(str(folder / "one.png")), 1


def folder_of_photos(folder: Path) -> tuple[Source, int]:
    for number in range(FRAMES):
        Image.fromarray(picture(number)).save(folder / f"{number:03d}.png")
    (folder / "notes.txt").write_text("not a photo")
    return Source(str(folder)), FRAMES


def video(folder: Path) -> tuple[Source, int]:
    file = folder / "clip.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"qp": "0"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    return Source(str(file)), FRAMES


MAKERS: dict[str, Callable[[Path], tuple[Source, int]]] = {"photo": photo, "folder": folder_of_photos, "video": video}


@pytest.fixture(params=[*MAKERS])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Source, int]:
    """A source of every kind that is a file, and how many frames it has."""
    return MAKERS[request.param](tmp_path)


def frames(source: Source, states: list[str] | None = None) -> Iterator[Decoded]:
    return open_source(source).frames((states if states is not None else []).append, Event())


def test_every_frame_comes_once_and_in_order(made: tuple[Source, int]) -> None:
    source, count = made
    got = list(frames(source))
    assert len(got) == count
    for number, frame in enumerate(got):
        rgb = frame.to_rgb()
        assert rgb.shape == (*SIZE, 3)
        assert rgb.dtype == np.uint8
        assert rgb.flags.c_contiguous
        assert abs(int(rgb.mean()) - 20 * number) <= 3
    times = [frame.stream_time_s for frame in got]
    assert times == sorted(set(times))
    assert times[0] == 0


def test_its_state_is_connected_and_it_is_no_live_source(made: tuple[Source, int]) -> None:
    source, _ = made
    states: list[str] = []
    assert list(frames(source, states))
    assert states == ["connected"]
    assert not open_source(source).live


def test_what_comes_in_is_counted(made: tuple[Source, int]) -> None:
    source, _ = made
    path = Path(source.url)
    files = sorted(path.glob("*.png")) if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    assert 0.4 * size <= sum(frame.bytes_in for frame in frames(source)) <= size


def test_a_loop_begins_again_with_the_first_frame(made: tuple[Source, int]) -> None:
    source, count = made
    looped = frames(Source(source.url, loop=True))
    got = [next(looped).to_rgb().mean() for _ in range(2 * count + 1)]
    assert got[count : 2 * count] == got[:count]


def test_it_ends_where_it_is_told_to_stop(made: tuple[Source, int]) -> None:
    source, _ = made
    stopping = Event()
    looped = open_source(Source(source.url, loop=True)).frames(lambda _: None, stopping)
    next(looped)
    stopping.set()
    assert list(looped) == []


def test_opening_a_source_touches_nothing_before_its_frames_are_asked_for(tmp_path: Path) -> None:
    for url in ("none.png", "none.mp4", "/dev/video9", "rtsp://127.0.0.1:1/none"):
        open_source(Source(str(tmp_path / url) if url.startswith("none") else url))


def bad_text(folder: Path, name: str) -> str:
    (folder / name).write_text("this is text\n" * 100)
    return str(folder / name)


def bad_empty(folder: Path, name: str) -> str:
    (folder / name).touch()
    return str(folder / name)


def bad_random(folder: Path, name: str) -> str:
    (folder / name).write_bytes(np.random.default_rng(0).bytes(100_000))
    return str(folder / name)


def bad_sound(folder: Path, name: str) -> str:
    with av.open(str(folder / name), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(folder / name)


def bad_cut(folder: Path, name: str) -> str:
    source, _ = MAKERS["video" if name.endswith(".mp4") else "photo"](folder)
    whole = Path(source.url).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 3])
    return str(folder / name)


def bad_folder(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    (folder / name / "notes.txt").write_text("no photo")
    return str(folder / name)


def missing(folder: Path, name: str) -> str:
    return str(folder / name)


BAD = [
    (missing, "none.png", "no photo at"),
    (missing, "none.mp4", "no video at"),
    (missing, "none", "no video at"),
    (bad_text, "text.mp4", "not a video"),
    (bad_text, "text.jpg", "not a photo"),
    (bad_empty, "empty.mp4", "not a video"),
    (bad_empty, "empty.png", "not a photo"),
    (bad_random, "random.mp4", "not a video|no frames|no video"),
    (bad_random, "random.jpg", "not a photo"),
    (bad_sound, "sound.mp4", "no video stream"),
    (bad_cut, "cut.mp4", "not a video"),
    (bad_cut, "cut.png", "not a photo"),
    (bad_folder, "photos", "no photos in"),
]


@pytest.mark.parametrize(("make", "name", "reason"), BAD, ids=[f"{make.__name__}-{name}" for make, name, _ in BAD])
def test_a_bad_source_is_one_line_that_names_it(
    make: Callable[[Path, str], str], name: str, reason: str, tmp_path: Path
) -> None:
    url = make(tmp_path, name)
    with pytest.raises(BadInput, match=reason) as refused:
        list(frames(Source(url)))
    assert url in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_video_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"g": "4"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: -whole.stat().st_size // 3])
    assert 0 < len(list(frames(Source(str(cut))))) < FRAMES


def states_of(url: str, enough: int) -> list[str]:
    """The first states of a live source that never has a frame."""
    states: list[str] = []
    stopping = Event()

    def on_state(state: str) -> None:
        states.append(state)
        if len(states) >= enough:
            stopping.set()

    assert list(open_source(Source(url)).frames(on_state, stopping)) == []
    return states


def test_a_camera_that_is_not_there_is_looked_for_again() -> None:
    states = states_of("/dev/video9", 4)
    assert states[0] == states[2] == "connecting"
    lost = r"lost: /dev/video9: no such camera \(cameras here: .+\): plug it in or correct the url; retrying in .+ s"
    assert re.fullmatch(lost, states[1])


def test_a_device_that_is_no_camera_says_so() -> None:
    assert states_of("/dev/shm", 2)[1].startswith("lost: /dev/shm: not a camera device: give a /dev/videoN; retrying")


def test_a_network_camera_that_nobody_answers_for_is_tried_again_and_its_password_is_not_told() -> None:
    begun = time.monotonic()
    states = states_of("rtsp://admin:secret@127.0.0.1:1/stream", 4)
    assert states[1].startswith("lost: rtsp://…@127.0.0.1:1/stream: connection refused; retrying in 0.")
    assert not any("secret" in state for state in states)
    assert time.monotonic() - begun < 30


def test_ffmpeg_can_still_open_v4l2_devices() -> None:
    """The demuxer that cameras need is in PyAV's ffmpeg: there is no camera to try it on."""
    assert "v4l2" in {name for long in av.formats_available for name in long.split(",")}


def test_ffmpeg_says_nothing_on_its_own(tmp_path: Path) -> None:
    """Our states and errors speak for it."""
    path = bad_random(tmp_path, "random.mp4")
    code = f"""
from threading import Event
from edge_node.capture.sources import open_source
from edge_node.config import Source
from edge_node.errors import BadInput
try:
    list(open_source(Source({path!r})).frames(print, Event()))
except BadInput:
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""
