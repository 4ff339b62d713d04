"""Endless signals, cut into the steps that a model takes. Pure; a source may push pieces of any length."""

import numpy as np
from numpy.typing import NDArray

from edge_node.errors import BadInput
from protos.bundle import Input

Floats = NDArray[np.float32]


class Windows:
    """Cuts [n, ...] items into overlapping steps of `length` items, a new one every `stride`.

    `lead` zeros stand before the first item, as the context that a stream begins with. What does not fill a step
    waits for the next push.
    """

    def __init__(self, length: int, stride: int, lead: int = 0) -> None:
        """Begin a stream."""
        self._length = length
        self._stride = stride
        self._lead = lead
        self._waiting: Floats | None = None
        self._skip = 0

    def push(self, items: Floats) -> list[Floats]:
        """The steps that these items complete, oldest first; they are views, and stay valid."""
        if self._waiting is None:
            self._waiting = np.zeros((self._lead, *items.shape[1:]), np.float32)
        waiting = np.concatenate([self._waiting, items.astype(np.float32, copy=False)])
        skipped = min(self._skip, len(waiting))
        self._skip -= skipped
        starts = range(skipped, len(waiting) - self._length + 1, self._stride)
        after = skipped + len(starts) * self._stride
        self._skip += max(0, after - len(waiting))
        self._waiting = waiting[after:].copy()
        return [waiting[at : at + self._length] for at in starts]

    def reset(self) -> None:
        """Forget the stream: the next items begin another."""
        self._waiting = None
        self._skip = 0


def windows_of(given: Input) -> Windows:
    """How the steps of an audio or series input are cut.

    Raises:
        BadInput: the manifest does not say how long a step is.
    """
    if given.window is None or given.window < 1:
        raise BadInput(f"an input of kind {given.kind!r} needs window = the new items of a step, in model.toml")
    if given.kind == "audio":
        return Windows(given.context + given.window, given.window, lead=given.context)
    return Windows(given.window, given.stride or given.window)
