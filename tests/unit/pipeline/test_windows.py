"""Signals cut into steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.errors import BadInput
from edge_node.pipeline.windows import Windows, windows_of
from protos.bundle import Input


def pushed(windows: Windows, pieces: list[np.ndarray[tuple[int], np.dtype[np.float32]]]) -> list[list[float]]:
    return [step.tolist() for piece in pieces for step in windows.push(piece)]


def test_audio_steps_carry_the_end_of_the_step_before() -> None:
    windows = windows_of(Input(kind="audio", window=3, context=2))
    steps = pushed(windows, [np.arange(1, 8, dtype=np.float32)])
    assert steps == [[0, 0, 1, 2, 3], [2, 3, 4, 5, 6]]


def test_series_steps_overlap_by_the_stride() -> None:
    windows = windows_of(Input(kind="series", window=3, stride=1))
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    assert [step.shape for step in windows.push(rows)] == [(3, 2)] * 3


def test_without_a_stride_series_steps_do_not_overlap() -> None:
    windows = windows_of(Input(kind="series", window=2))
    assert pushed(windows, [np.arange(5, dtype=np.float32)]) == [[0, 1], [2, 3]]


def test_an_input_without_a_window_is_refused() -> None:
    with pytest.raises(BadInput, match="an input of kind 'audio' needs window"):
        windows_of(Input(kind="audio"))


def test_a_reset_begins_another_stream() -> None:
    windows = windows_of(Input(kind="audio", window=2, context=1))
    first = pushed(windows, [np.array([1, 2, 3], np.float32)])
    windows.reset()
    assert pushed(windows, [np.array([1, 2, 3], np.float32)]) == first == [[0, 1, 2]]


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 4), st.lists(st.integers(0, 11), max_size=12))
def test_how_a_signal_is_pushed_makes_no_difference(length: int, stride: int, lead: int, pieces: list[int]) -> None:
    signal = np.arange(1, sum(pieces) + 1, dtype=np.float32)
    padded = np.concatenate([np.zeros(lead, np.float32), signal])
    expected = [padded[at : at + length].tolist() for at in range(0, len(padded) - length + 1, stride)]
    parts = np.split(signal, np.cumsum(pieces)[:-1]) if pieces else []
    steps = pushed(Windows(length, stride, lead), parts)
    assert steps == (expected if pieces else [])
