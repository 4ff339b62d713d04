"""A frame on its way from a decoder to the ring."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
"""uint8, HWC, contiguous"""


@dataclass(frozen=True)
class Decoded:
    """A frame that has been decoded and not yet been converted: conversion costs, and not every frame is wanted.

    `captured_ns` is the wall clock, nanoseconds since 1970; `stream_time_s` is the position in the stream and goes
    back where a file begins again; `bytes_in` is what the source has taken in for this frame, encoded.
    """

    stream_time_s: float
    captured_ns: int
    bytes_in: int
    to_rgb: Callable[[], RGB]


class FrameSource(Protocol):
    """Where frames come from."""

    live: bool
    """a camera: it goes on without us, is never waited for, and may come back"""

    def frames(self, on_state: Callable[[str], None], stopping: Event) -> Iterator[Decoded]:
        """Every frame until the source ends or `stopping` is set.

        Args:
            on_state: told `connected`, and for live sources `connecting` and `lost: …`.
            stopping: set by another thread to end the iteration.

        Raises:
            BadInput: a file that does not exist, has no frames or cannot be decoded. A live source never raises it:
                it tells its state and tries again.
        """
