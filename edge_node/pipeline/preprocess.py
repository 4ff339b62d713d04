"""From a frame to an image tensor, as the manifest's input says.

Two steps, so that golden vectors can hold what lies between them: `fit` gives the canonical image (uint8 HWC at the
model's size, in the manifest's colour order), `encode` gives it the model's layout and type. Resampling is Pillow's,
which widens its filters when it shrinks (antialiased). Reading and decoding are capture's.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput
from edge_node.pipeline.layout import layout_of
from edge_node.pipeline.placement import Placement, Size, place
from edge_node.pipeline.tensors import quantize, static_shape
from protos.bundle import Input

Pixels = NDArray[np.uint8]
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}


class ImageInput:
    """The image input of one loaded model."""

    def __init__(self, given: Input, spec: TensorSpec) -> None:
        """Decide the layout and the pixel mapping.

        Raises:
            BadInput: the tensor is not an image, or the manifest's colours, mean or std do not fit it.
        """
        self._given = given
        self._spec = spec
        layout = layout_of(spec, given.layout)
        axes = dict(zip(layout, spec.shape, strict=True))
        self._planes_first = "CH" in layout
        self._shape = static_shape(spec)
        self.size = _size(axes, spec)
        self.channels = axes.get("C") or 1
        if self.channels != (1 if given.color == "grey" else 3):
            raise BadInput(
                f"the input {spec.name!r} has {self.channels} channel(s), its color is {given.color!r}: "
                f"set color to {'grey' if self.channels == 1 else 'rgb or bgr'} in model.toml"
            )
        self._mapping = _mapping(given, spec, self.channels)

    def fit(self, sample: Array) -> tuple[Pixels, Placement]:
        """The canonical image of a frame, and where the frame lies in it.

        Args:
            sample: the frame: uint8 [height, width, 3], RGB, C-contiguous.

        Raises:
            BadInput: it is not such a frame.
        """
        if sample.ndim != 3 or sample.shape[2] != 3 or sample.dtype != np.uint8:
            raise BadInput(f"a frame is uint8 [height, width, 3], not {sample.dtype} {shape_text(sample.shape)}")
        placement = place(self._given.fit, Size(sample.shape[1], sample.shape[0]), self.size)
        image = self._resized(Image.fromarray(sample), placement)
        if self._given.color == "grey":
            return np.asarray(image.convert("L"))[:, :, None], placement
        pixels = np.asarray(image)
        return (pixels[:, :, ::-1] if self._given.color == "bgr" else pixels), placement

    def encode(self, canonical: Array) -> Array:
        """The tensor of a canonical image, contiguous; where nothing changes, the image itself.

        Raises:
            BadInput: it has not the model's size and channels.
        """
        if canonical.shape != (self.size.height, self.size.width, self.channels) or canonical.dtype != np.uint8:
            raise BadInput(
                f"a canonical image of {canonical.dtype} {shape_text(canonical.shape)} does not fit {self._spec.name!r}"
            )
        if self._mapping.keeps_pixels and not self._planes_first:
            return np.ascontiguousarray(canonical).reshape(self._shape)
        feed = np.empty(self._shape, self._spec.dtype)
        self._mapping.write(canonical.view(np.uint8), self._as_image(feed))
        return feed

    def _resized(self, image: Image.Image, placement: Placement) -> Image.Image:
        left, top, right, bottom = placement.target
        inner = (right - left, bottom - top)
        box = placement.source
        if inner != (box[2] - box[0], box[3] - box[1]) or image.size != inner:
            image = image.resize(inner, FILTERS[self._given.resize], box)
        if inner == (self.size.width, self.size.height):
            return image
        canvas = Image.new("RGB", (self.size.width, self.size.height), (self._given.pad,) * 3)
        canvas.paste(image, (left, top))
        return canvas

    def _as_image(self, feed: Array) -> Array:
        """A view of the tensor with the axes height, width, channels."""
        if self._planes_first:
            return feed.reshape(self.channels, self.size.height, self.size.width).transpose(1, 2, 0)
        return feed.reshape(self.size.height, self.size.width, self.channels)


def _size(axes: dict[str, int | None], spec: TensorSpec) -> Size:
    width, height = axes["W"], axes["H"]
    if width is None or height is None:
        raise BadInput(
            f"the input {spec.name!r} leaves its size open ({shape_text(spec.shape)}): export it with a fixed size"
        )
    if axes.get("N") not in (None, 1):
        raise BadInput(f"the input {spec.name!r} takes {axes['N']} images at once: export it with a batch of 1")
    return Size(width, height)


def _mapping(given: Input, spec: TensorSpec, channels: int) -> "PixelMapping":
    for name, values in (("mean", given.mean), ("std", given.std)):
        if values is not None and len(values) not in (1, channels):
            raise BadInput(f"{name} of the input {spec.name!r} has {len(values)} values for {channels} channel(s)")
    return PixelMapping(given, spec, channels)


class PixelMapping:
    """Pixel values 0..255 to values of the tensor.

    Quantized tensors with mean or std take a table of 256 entries per channel, so that every mapping costs one
    look-up and is exact; float tensors take (pixel - mean) / std, or pixel / 255.
    """

    def __init__(self, given: Input, spec: TensorSpec, channels: int) -> None:
        """Precompute the table, or the factors."""
        self._dtype = np.dtype(spec.dtype)
        self._integer = self._dtype.kind in "iu"
        plain = given.mean is None and given.std is None
        mean = np.broadcast_to(np.asarray(given.mean or (0.0,), np.float32), (channels,))
        std = np.broadcast_to(np.asarray(given.std or (1.0,), np.float32), (channels,))
        if plain and not self._integer:
            std = np.full(channels, 255.0, np.float32)
        self._factors = (1.0 / std).astype(np.float32)
        self._offsets = (-mean / std).astype(np.float32)
        reals = (np.arange(256, dtype=np.float32)[:, None] - mean) / std
        self._table = quantize(reals, spec) if self._integer and not plain else None

    @property
    def keeps_pixels(self) -> bool:
        """Whether the tensor's values are the pixels."""
        return self._table is None and self._dtype == np.uint8

    def write(self, pixels: Pixels, out: Array) -> None:
        """Write the values of an image [height, width, channels] to a tensor's view of the same axes."""
        if not self._integer:
            self._write_floats(pixels, out)
        elif self._table is not None:
            for channel in range(pixels.shape[2]):
                out[:, :, channel] = self._table[:, channel].take(pixels[:, :, channel])
        elif self._dtype == np.int8:
            out[:] = (pixels ^ np.uint8(128)).view(np.int8)  # pixel - 128, in one pass
        else:
            out[:] = pixels

    def _write_floats(self, pixels: Pixels, out: Array) -> None:
        """Channel by channel: numpy is slow where the inner axis has three entries."""
        for channel, (factor, offset) in enumerate(zip(self._factors, self._offsets, strict=True)):
            plane = out[:, :, channel]
            np.multiply(pixels[:, :, channel], factor, out=plane, dtype=np.float32)
            if offset:
                np.add(plane, offset, out=plane, dtype=np.float32)
