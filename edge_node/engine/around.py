"""What lies around on this machine for models to run on: plugins, delegates, devices. For `doctor`; nothing is loaded.

What is found still has to be named in the node's configuration (`[engines]`) and to agree with golden vectors.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PLUGINS: Mapping[str, tuple[str, str]] = {
    "openvino": ("onnxruntime_ep_openvino", "libonnxruntime_providers_openvino_plugin.so"),
    "qnn": ("onnxruntime_qnn", "libonnxruntime_providers_qnn.so"),
    "tensorrt-rtx": ("onnxruntime_ep_nv_tensorrt_rtx", "libonnxruntime_providers_nv_tensorrt_rtx.so"),
}
"""Plugins of ONNX Runtime: by accelerator, the package that brings one and the name of its library."""

DELEGATES: Mapping[str, tuple[str, ...]] = {
    "edgetpu": ("libedgetpu.so.1",),
    "ethos-u": ("libethosu_delegate.so",),
    "hexagon": ("libQnnTFLiteDelegate.so",),
    "armnn": ("libarmnnDelegate.so",),
    "vx": ("libvx_delegate.so",),
}
"""Delegates of LiteRT: by our name for them, their libraries."""

PLACES = (
    *("/usr/lib", "/usr/local/lib", "/opt/vendor/lib", "/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu"),
    "/usr/lib/arm-linux-gnueabihf",
)


@dataclass(frozen=True)
class Library:
    """A library that a rung may name."""

    engine: str
    accelerator: str
    path: str

    @property
    def configuration(self) -> str:
        """What the node's configuration needs for it, on one line."""
        return (
            f'engines.devices = [{{engine = "{self.engine}", accelerator = "{self.accelerator}", '
            f'library = "{self.path}"}}]'
        )


def libraries(places: Iterable[str] = PLACES, packages: Iterable[str] = tuple(sys.path)) -> tuple[Library, ...]:
    """The plugins and delegates that are installed where they usually are."""
    plugins = (
        Library("onnxruntime", accelerator, str(found))
        for accelerator, (package, library) in PLUGINS.items()
        for place in packages
        for found in sorted(Path(place, package).glob(f"**/{library}"))
    )
    delegates = (
        Library("litert", accelerator, str(Path(place, name)))
        for accelerator, names in DELEGATES.items()
        for name in names
        for place in places
        if Path(place, name).exists()
    )
    return (*plugins, *delegates)
