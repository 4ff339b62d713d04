"""Whether outputs are what the model says that it gives: shapes as declared, numbers that are numbers.

A decoder would read nonsense without noticing: a score that is not a number sorts anywhere, and a box that is none is
below every threshold. What is unsound is a failed frame, which is counted.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import EngineFailed


def check_sound(outputs: Mapping[str, Array], specs: Iterable[TensorSpec]) -> None:
    """Return if the outputs are sound; those that are missing, or of text, are the decoder's to complain of.

    Raises:
        EngineFailed: which is not, and how.
    """
    for spec in specs:
        array = outputs.get(spec.name)
        if array is None:
            continue
        if not _fits(array.shape, spec.shape):
            raise EngineFailed(
                f"the output {spec.name!r} has the shape {shape_text(array.shape)}, not {shape_text(spec.shape)}"
            )
        if array.dtype.kind == "f" and array.size and not np.isfinite(array.max()):  # the maximum is NaN where any is
            raise EngineFailed(f"the output {spec.name!r} holds values that are no numbers (NaN or infinite)")


def _fits(shape: tuple[int, ...], declared: tuple[int | None, ...]) -> bool:
    return len(shape) == len(declared) and all(
        want is None or have == want for have, want in zip(shape, declared, strict=True)
    )
