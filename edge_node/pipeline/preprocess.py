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
from edge_node.pipeline.tensors import quantize
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
        self._layout = layout_of(spec, given.layout)
        axes = dict(zip(self._layout, spec.shape, strict=True))
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
        """The tensor of a canonical image, contiguous.

        Raises:
            BadInput: it has not the model's size and channels.
        """
        if canonical.shape != (self.size.height, self.size.width, self.channels) or canonical.dtype != np.uint8:
            raise BadInput(
                f"a canonical image of {canonical.dtype} {shape_text(canonical.shape)} does not fit {self._spec.name!r}"
            )
        return self._arranged(self._mapping(canonical.view(np.uint8)))

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

    def _arranged(self, mapped: Array) -> Array:
        """HWC values in the tensor's own order of axes."""
        if "C" not in self._layout:
            mapped = mapped[:, :, 0]
        elif self._layout.index("C") < self._layout.index("H"):
            mapped = mapped.transpose(2, 0, 1)
        if self._layout.startswith("N"):
            mapped = mapped[None]
        return np.ascontiguousarray(mapped)


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

    Quantized tensors take a table of 256 entries per channel, so that every mapping costs one look-up and is exact;
    float tensors take (pixel - mean) / std, or pixel / 255.
    """

    def __init__(self, given: Input, spec: TensorSpec, channels: int) -> None:
        """Precompute the table, or the factors."""
        self._dtype = np.dtype(spec.dtype)
        self._plain = given.mean is None and given.std is None
        mean = np.broadcast_to(np.asarray(given.mean or (0.0,), np.float32), (channels,))
        std = np.broadcast_to(np.asarray(given.std or (1.0,), np.float32), (channels,))
        if self._plain and self._dtype.kind not in "iu":
            std = np.full(channels, 255.0, np.float32)
        self._factor = (1.0 / std).astype(np.float32)
        self._offset = (-mean / std).astype(np.float32)
        self._table: Array | None = None
        if self._dtype.kind in "iu" and not self._plain:
            reals = (np.arange(256, dtype=np.float32)[:, None] - mean) / std
            self._table = quantize(reals, spec)

    def __call__(self, pixels: Pixels) -> Array:
        """Values [height, width, channels] of the tensor's type."""
        if self._dtype.kind not in "iu":
            return self._floats(pixels)
        if self._table is not None:
            return np.stack([self._table[:, c].take(pixels[:, :, c]) for c in range(pixels.shape[2])], axis=2)
        if self._dtype == np.uint8:
            return pixels
        if self._dtype == np.int8:
            return (pixels ^ np.uint8(128)).view(np.int8)  # pixel - 128, in one pass
        return pixels.astype(self._dtype)

    def _floats(self, pixels: Pixels) -> Array:
        values = np.multiply(pixels, self._factor, dtype=np.float32)
        if self._offset.any():
            values += self._offset
        return values.astype(self._dtype, copy=False)
