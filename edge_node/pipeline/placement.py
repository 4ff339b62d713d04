"""Where a frame lies in a model's input: decided from sizes alone, and the way back for boxes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Fit = Literal["stretch", "letterbox", "crop"]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Size:
    """Pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Placement:
    """The part of the frame that the model sees, and where it lies in the model's input.

    `source` is a rectangle of the frame, `target` one of the input, both (left, top, right, bottom) in pixels.
    """

    frame: Size
    input: Size
    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]

    def to_frame(self, boxes: Floats) -> Floats:
        """Boxes [n, 4] in 0..1 of the input, as boxes in 0..1 of the frame; what hangs out is cut off."""
        size = np.array([self.input.width, self.input.height] * 2, np.float32)
        frame = np.array([self.frame.width, self.frame.height] * 2, np.float32)
        scale, offset = self._affine()
        return np.asarray(np.clip(((boxes * size) * scale + offset) / frame, 0.0, 1.0), np.float32)

    def to_input(self, boxes: Floats) -> Floats:
        """Boxes [n, 4] in 0..1 of the frame, as boxes in 0..1 of the input."""
        size = np.array([self.input.width, self.input.height] * 2, np.float32)
        frame = np.array([self.frame.width, self.frame.height] * 2, np.float32)
        scale, offset = self._affine()
        return np.asarray(((boxes * frame - offset) / scale) / size, np.float32)

    def _affine(self) -> tuple[Floats, Floats]:
        """From pixels of the input to pixels of the frame: x * scale + offset."""
        source, target = np.array(self.source, np.float32), np.array(self.target, np.float32)
        scale = np.tile((source[2:] - source[:2]) / (target[2:] - target[:2]), 2)
        return scale, np.tile(source[:2], 2) - np.tile(target[:2], 2) * scale


def place(fit: Fit, frame: Size, size: Size) -> Placement:
    """How a frame is fitted into a model's input of `size`.

    stretch: all of it, without regard to proportions. letterbox: all of it, proportions kept, in the middle of a
    padded input. crop: the largest middle part of the frame that has the input's proportions.
    """
    whole_frame = (0, 0, frame.width, frame.height)
    whole_input = (0, 0, size.width, size.height)
    if fit == "letterbox":
        return Placement(frame, size, whole_frame, _inside(frame, size))
    if fit == "crop":
        return Placement(frame, size, _inside(size, frame), whole_input)
    return Placement(frame, size, whole_frame, whole_input)


def _inside(inner: Size, outer: Size) -> tuple[int, int, int, int]:
    """The largest rectangle with the proportions of `inner` in the middle of `outer`."""
    scale = min(outer.width / inner.width, outer.height / inner.height)
    width = min(outer.width, max(1, round(inner.width * scale)))
    height = min(outer.height, max(1, round(inner.height * scale)))
    left, top = (outer.width - width) // 2, (outer.height - height) // 2
    return left, top, left + width, top + height
