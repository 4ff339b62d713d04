"""Whether feeds fit a model's inputs: the same complaint from every engine."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from edge_node.engine.base import Array, TensorSpec
from edge_node.errors import BadInput

_dtype = cache(np.dtype)
"""numpy's type by its name; a comparison with the name itself would read the name every time"""


def check_feeds(specs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> None:
    """Return if there is a fitting array for every input.

    Raises:
        BadInput: the first that is missing or of another dtype or shape.
    """
    for spec in specs:
        feed = feeds.get(spec.name)
        if feed is None:
            raise BadInput(f"no feed for the input {spec.name!r}: the feeds are {', '.join(feeds) or 'none'}")
        if feed.dtype != _dtype(spec.dtype) or not fits(feed.shape, spec.shape):
            wanted = f"{spec.dtype} {shape_text(spec.shape)}"
            raise BadInput(f"the input {spec.name!r} takes {wanted}, not {feed.dtype.name} {shape_text(feed.shape)}")


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether a shape has the expected axes; None stands for any length."""
    if shape == expected:
        return True
    return len(shape) == len(expected) and all(
        want is None or want == have for have, want in zip(shape, expected, strict=True)
    )


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape as people write it: `[1, ?, 3]`."""
    return f"[{', '.join('?' if axis is None else str(axis) for axis in shape)}]"
