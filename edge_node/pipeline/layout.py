"""What the axes of an image tensor mean: stated by the manifest, or shown by the shape."""

from typing import Literal

from edge_node.engine.base import TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput

Layout = Literal["NHWC", "NCHW", "NHW", "HWC", "CHW", "HW"]

CHANNELS = (1, 3)
"""Grey and colour."""


def layout_of(spec: TensorSpec, stated: Literal["auto", "nhwc", "nchw"] = "auto") -> Layout:
    """The layout of a tensor.

    Raises:
        BadInput: the shape is not that of an image.
    """
    layout = _four_axes(spec.shape, stated) if len(spec.shape) == 4 else _fewer_axes(spec.shape)
    if layout is None:
        where = f"the input {spec.name!r} of shape {shape_text(spec.shape)}"
        raise BadInput(f"{where} is no image: set its kind or layout in model.toml")
    return layout


def _four_axes(shape: tuple[int | None, ...], stated: str) -> Layout | None:
    if stated == "nhwc" or (stated == "auto" and shape[3] in CHANNELS):
        return "NHWC"
    if stated == "nchw" or shape[1] in CHANNELS:
        return "NCHW"
    return None


def _fewer_axes(shape: tuple[int | None, ...]) -> Layout | None:
    if len(shape) == 2:
        return "HW"
    if len(shape) != 3:
        return None
    if shape[2] in CHANNELS:
        return "HWC"
    if shape[0] in (1, None):
        return "NHW"
    return "CHW" if shape[0] in CHANNELS else None
