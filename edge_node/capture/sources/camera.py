"""A camera device of this machine: V4L2, through ffmpeg's demuxer."""

import stat
from collections.abc import Iterator
from pathlib import Path

from edge_node.capture.decoder import Unplugged, decode_live
from edge_node.capture.frames import Decoded
from edge_node.capture.sources.live import Live


def camera(path: str) -> Live:
    """The camera at a device path, such as /dev/video0."""

    def connect() -> Iterator[Decoded]:
        _check(Path(path))
        return decode_live(path, container_format="v4l2", options={})

    return Live(path, connect)


def _check(device: Path) -> None:
    """Say what is wrong in words: ffmpeg has only numbers for it."""
    try:
        mode = device.stat().st_mode
    except OSError:
        present = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
        raise Unplugged(f"no such camera (cameras here: {present}): plug it in or correct the url") from None
    if not stat.S_ISCHR(mode):
        raise Unplugged("not a camera device: give a /dev/videoN")
