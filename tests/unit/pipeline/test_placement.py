"""Where a frame lies in the input, and the way back."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.pipeline.placement import Size, place

Fit = Literal["stretch", "letterbox", "crop"]
SIZES = st.builds(Size, st.integers(1, 4000), st.integers(1, 4000))
CORNERS = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)


def test_a_wide_frame_is_letterboxed_with_bars_above_and_below() -> None:
    placement = place("letterbox", Size(1280, 720), Size(320, 320))
    assert placement.source == (0, 0, 1280, 720)
    assert placement.target == (0, 70, 320, 250)


def test_a_wide_frame_is_cropped_at_its_sides() -> None:
    placement = place("crop", Size(1280, 720), Size(224, 224))
    assert placement.source == (280, 0, 1000, 720)
    assert placement.target == (0, 0, 224, 224)


def test_a_stretched_box_keeps_its_place() -> None:
    box = np.array([[0.1, 0.2, 0.5, 0.75]], np.float32)
    np.testing.assert_allclose(place("stretch", Size(640, 480), Size(300, 300)).to_frame(box), box, atol=1e-6)


def test_a_box_over_the_whole_letterbox_is_the_whole_frame() -> None:
    placement = place("letterbox", Size(1280, 720), Size(320, 320))
    np.testing.assert_array_equal(placement.to_frame(np.array([[0, 0, 1, 1]], np.float32)), [[0, 0, 1, 1]])


def test_a_box_over_the_whole_crop_is_the_middle_of_the_frame() -> None:
    placement = place("crop", Size(1280, 720), Size(224, 224))
    found = placement.to_frame(np.array([[0, 0, 1, 1]], np.float32))
    np.testing.assert_allclose(found, [[280 / 1280, 0, 1000 / 1280, 1]], atol=1e-6)


@given(st.sampled_from(["stretch", "letterbox", "crop"]), SIZES, SIZES)
def test_a_placement_stays_inside_both(fit: Fit, frame: Size, size: Size) -> None:
    placement = place(fit, frame, size)
    for (left, top, right, bottom), whole in ((placement.source, frame), (placement.target, size)):
        assert 0 <= left < right <= whole.width
        assert 0 <= top < bottom <= whole.height


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@given(st.data())
def test_a_box_goes_to_the_input_and_back(fit: Fit, data: st.DataObject) -> None:
    """Where all of the frame is seen, any box of it comes back as it was."""
    frame, size = data.draw(SIZES), data.draw(SIZES)
    box = np.array([data.draw(CORNERS)], np.float32)
    placement = place(fit, frame, size)
    np.testing.assert_allclose(placement.to_frame(placement.to_input(box)), box, atol=2e-3)


@given(SIZES, SIZES, CORNERS)
def test_a_box_of_a_crop_goes_to_the_frame_and_back(frame: Size, size: Size, corners: list[float]) -> None:
    placement = place("crop", frame, size)
    box = np.array([corners], np.float32)
    np.testing.assert_allclose(placement.to_input(placement.to_frame(box)), box, atol=2e-3)
