"""A photo, or a folder of photos in the order of their names. Decoded by Pillow, turned as their EXIF data say."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image, ImageOps

from edge_node.capture.frames import RGB, Decoded
from edge_node.capture.kinds import PHOTO_SUFFIXES
from edge_node.errors import BadInput

PHOTOS_PER_SECOND = 1.0
"""of stream time, where the source names no fps"""


class Photos:
    """Photos as a stream of `fps` frames a second."""

    live = False

    def __init__(self, path: Path, *, loop: bool, fps: float | None) -> None:
        self._path = path
        self._loop = loop
        self._interval_s = 1.0 / (fps or PHOTOS_PER_SECOND)

    def frames(self, on_state: Callable[[str], None], stopping: Event) -> Iterator[Decoded]:
        """The photos, each once, or round and round.

        Raises:
            BadInput: no such file or folder, no photos in it, or one that cannot be decoded.
        """
        files = _files(self._path)
        # One photo that is looped is read once: it is how a still is shown as a stream.
        kept = _read(files[0]) if self._loop and len(files) == 1 else None
        on_state("connected")
        for index in count():
            if stopping.is_set() or (index >= len(files) and not self._loop):
                return
            file = files[index % len(files)]
            rgb = _read(file) if kept is None else kept
            size = file.stat().st_size if kept is None or index == 0 else 0
            yield Decoded(index * self._interval_s, time.time_ns(), size, partial(np.asarray, rgb))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInput(f"no photo at {path}: check the url of the source")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file())
    if not files:
        raise BadInput(f"no photos in {path}: it needs files ending in {', '.join(sorted(PHOTO_SUFFIXES))}")
    return files


def _read(file: Path) -> RGB:
    try:
        with Image.open(file) as image:
            return np.ascontiguousarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{file} is not a photo that can be decoded: {reason}") from None
