"""Several asks as one batch: nobody's numbers change by it."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_node.engine.base import Array, TensorSpec
from edge_node.worker.joining import cut_back, groups, joined, padded_axes

AXES = padded_axes(
    [
        TensorSpec("words", "int64", (None, None), axes=("batch", "length")),
        TensorSpec("other", "float32", (None, 2), axes=("batch", "")),
        TensorSpec("out", "int64", (None, None, 3), axes=("batch", "length", "")),
    ],
    ("length",),
)


def _ask(rows: int, length: int, fill: int) -> Mapping[str, Array]:
    return {"words": np.full((rows, length), fill, np.int64), "other": np.full((rows, 2), fill, np.float32)}


asks = st.lists(st.builds(_ask, st.integers(1, 3), st.integers(0, 4), st.integers(1, 99)), min_size=1, max_size=6)


def test_only_axes_that_are_named_are_padded() -> None:
    assert AXES == {"words": ("", "length"), "out": ("", "length", "")}


@given(asks)
def test_asks_of_different_lengths_are_one_batch_and_get_their_own_part_back(given: list[Mapping[str, Array]]) -> None:
    assert groups(given, AXES) == [list(range(len(given)))]
    batch = joined(given, AXES)
    out = np.repeat(batch["words"][:, :, None], 3, axis=2)
    start = 0
    for ask in given:
        rows = len(ask["words"])
        part = cut_back(out[start : start + rows], "out", ask, AXES)
        np.testing.assert_array_equal(part, np.repeat(ask["words"][:, :, None], 3, axis=2))
        np.testing.assert_array_equal(batch["other"][start : start + rows], ask["other"])
        start += rows
    assert len(batch["words"]) == len(batch["other"]) == start


@given(asks)
def test_without_padding_only_equal_lengths_go_together(given: list[Mapping[str, Array]]) -> None:
    found = groups(given, {})
    assert sorted(position for group in found for position in group) == list(range(len(given)))
    lengths = [{given[position]["words"].shape[1] for position in group} for group in found]
    assert all(len(one) == 1 for one in lengths)
    assert len(set().union(*lengths)) == len(found), "and all of a length do"
