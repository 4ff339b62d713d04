"""From a frame to an image tensor."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_node.engine.base import TensorSpec
from edge_node.errors import BadInput
from edge_node.pipeline.layout import layout_of
from edge_node.pipeline.preprocess import ImageInput
from protos.bundle import Input

FRAME = np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8)
NHWC = (1, 6, 10, 3)


def image_input(shape: tuple[int | None, ...] = NHWC, dtype: str = "uint8", **more: Any) -> ImageInput:
    scale, zero_point = more.pop("quantized", (None, None))
    return ImageInput(Input(kind="image", **more), TensorSpec("x", dtype, shape, scale, zero_point))


def fed(given: ImageInput, frame: Any = FRAME) -> Any:
    return given.encode(given.fit(frame)[0])


def resized(frame: Any, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BILINEAR) -> Any:
    return np.asarray(Image.fromarray(frame).resize(size, how))


def test_a_uint8_input_takes_the_pixels_as_they_are() -> None:
    np.testing.assert_array_equal(fed(image_input())[0], resized(FRAME, (10, 6)))


def test_an_int8_input_takes_the_pixels_less_128() -> None:
    feed = fed(image_input(dtype="int8"))
    assert feed.dtype == np.int8
    np.testing.assert_array_equal(feed[0].astype(int), resized(FRAME, (10, 6)).astype(int) - 128)


def test_a_float_input_takes_the_pixels_by_255() -> None:
    feed = fed(image_input(dtype="float32"))
    np.testing.assert_allclose(feed[0], resized(FRAME, (10, 6)) / 255, rtol=1e-6)


def test_mean_and_std_are_of_pixel_values_and_per_channel() -> None:
    mean, std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
    feed = fed(image_input(dtype="float32", mean=mean, std=std))
    np.testing.assert_allclose(
        feed[0], (resized(FRAME, (10, 6)) - np.array(mean)) / np.array(std), rtol=1e-4, atol=1e-5
    )


def test_a_quantized_input_with_a_mean_goes_through_real_values() -> None:
    given = image_input(dtype="int8", mean=(127.5,), std=(127.5,), quantized=(1 / 128, 3))
    real = (resized(FRAME, (10, 6)) - 127.5) / 127.5
    np.testing.assert_allclose(fed(given)[0], np.clip(np.rint(real * 128) + 3, -128, 127), atol=1)


def test_channels_first_is_seen_from_the_shape() -> None:
    feed = fed(image_input((1, 3, 6, 10), "float32"))
    assert feed.flags.c_contiguous
    np.testing.assert_allclose(feed[0].transpose(1, 2, 0), resized(FRAME, (10, 6)) / 255, rtol=1e-6)


def test_uint8_channels_first_is_rearranged() -> None:
    np.testing.assert_array_equal(fed(image_input((1, 3, 6, 10)))[0].transpose(1, 2, 0), resized(FRAME, (10, 6)))


def test_blue_may_come_first() -> None:
    np.testing.assert_array_equal(fed(image_input(color="bgr"))[0], resized(FRAME, (10, 6))[:, :, ::-1])


@pytest.mark.parametrize("shape", [(1, 6, 10), (1, 6, 10, 1), (1, 1, 6, 10), (6, 10), (6, 10, 1)])
def test_grey_has_one_channel_whatever_the_layout(shape: tuple[int, ...]) -> None:
    expected = np.asarray(Image.fromarray(resized(FRAME, (10, 6))).convert("L"))
    feed = fed(image_input(shape, color="grey"))
    assert feed.shape == shape
    np.testing.assert_array_equal(feed.reshape(6, 10), expected)


@pytest.mark.parametrize("how", ["nearest", "bilinear", "bicubic", "box", "lanczos"])
def test_the_manifest_names_the_filter(how: Any) -> None:
    expected = resized(FRAME, (10, 6), Image.Resampling[how.upper()])
    np.testing.assert_array_equal(fed(image_input(resize=how))[0], expected)


def test_a_letterbox_is_padded_with_the_manifests_grey() -> None:
    given = image_input((1, 10, 10, 3), fit="letterbox", pad=7)
    feed, placement = given.fit(FRAME)
    assert placement is not None
    assert placement.target == (0, 2, 10, 8)
    assert (feed[:2] == 7).all()
    assert (feed[8:] == 7).all()
    np.testing.assert_array_equal(feed[2:8], resized(FRAME, (10, 6)))


def test_a_crop_sees_the_middle() -> None:
    given = image_input((1, 6, 6, 3), fit="crop", resize="nearest")
    np.testing.assert_array_equal(fed(given)[0], resized(FRAME[:, 4:16], (6, 6), Image.Resampling.NEAREST))


def test_a_frame_of_the_models_size_is_not_resampled() -> None:
    np.testing.assert_array_equal(fed(image_input((1, 12, 20, 3), resize="lanczos"))[0], FRAME)


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_frame_is_refused(frame: Any) -> None:
    with pytest.raises(BadInput, match=r"a frame is uint8 \[height, width, 3\], not "):
        image_input().fit(frame)


def test_a_canonical_image_of_another_size_is_refused() -> None:
    with pytest.raises(BadInput, match="does not fit 'x'"):
        image_input().encode(np.zeros((5, 5, 3), np.uint8))


@pytest.mark.parametrize(
    ("shape", "more", "said"),
    [
        ((1, 6, 10, 3), {"color": "grey"}, "3 channel.* set color to rgb or bgr in model.toml"),
        ((1, 6, 10, 1), {}, "1 channel.* set color to grey in model.toml"),
        ((1, 6, 10, 5), {}, "is no image: set its kind or layout"),
        ((1, None, None, 3), {}, "leaves its size open"),
        ((4, 6, 10, 3), {}, "takes 4 images at once"),
        ((1, 6, 10, 3), {"mean": (1.0, 2.0)}, "mean of the input 'x' has 2 values for 3 channel"),
    ],
)
def test_a_manifest_that_does_not_fit_the_tensor_says_what_to_change(
    shape: tuple[int | None, ...], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        image_input(shape, **more)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 224, 224, 3), "NHWC"),
        ((None, 3, 224, 224), "NCHW"),
        ((1, 1, 28, 28), "NCHW"),
        ((28, 28, 1), "HWC"),
        ((3, 224, 224), "CHW"),
        ((1, 28, 28), "NHW"),
        ((28, 28), "HW"),
        ((1, 3, 8, 3), "NHWC"),
    ],
)
def test_the_shape_shows_the_layout(shape: tuple[int | None, ...], layout: str) -> None:
    assert layout_of(TensorSpec("x", "uint8", shape)) == layout


def test_a_stated_layout_wins_over_the_shape() -> None:
    assert layout_of(TensorSpec("x", "uint8", (1, 3, 8, 3)), "nchw") == "NCHW"
