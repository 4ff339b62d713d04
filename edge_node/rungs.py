"""What models can run on here, as the node's configuration says it: engines, accelerators, their libraries. Plain data.

What of it a model really runs on is decided from proofs: `edge_node.engine.ladder`.
"""

from typing import Annotated, Literal

import msgspec


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model can run on: an engine on an accelerator, by our names of both.

    `library` is the delegate of LiteRT, or the plugin of ONNX Runtime that brings a provider which is not built in;
    `options` are told to it as they are. Nothing of it is loaded outside a worker.
    """

    engine: Literal["litert", "onnxruntime", "openvino", "stub"]
    accelerator: str = "cpu"
    library: str = ""
    options: dict[str, str] = {}

    @property
    def name(self) -> str:
        """As people read it: `onnxruntime/cuda`."""
        return f"{self.engine}/{self.accelerator}"


ALSO: tuple[Literal["openvino"], ...] = ("openvino",)
"""Engines that run the files of others, where the configuration says so."""


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What models may run on beside the processor with the engine of their format, where golden vectors agree.

    `also` are engines that take the files of others (OpenVINO); `devices` lists what the device may have beside its
    processor. A model is tried on all of it when it is proven; `only` (`openvino/cpu`) leaves one rung alone. The
    compiled forms of models take at most `cache_mb` of the disk, 0: none are kept.
    """

    also: tuple[Literal["openvino"], ...] = ()
    devices: tuple[Rung, ...] = ()
    only: str | None = None
    hang_s: Annotated[float, msgspec.Meta(gt=0)] = 1.5
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 1024


class SessionStatus(msgspec.Struct, frozen=True):
    """What a session runs on now; `fell` says why that is not its best rung, `last` that it has nothing to fall to."""

    session: str
    engine: str
    accelerator: str
    fell: str = ""
    last: bool = True
