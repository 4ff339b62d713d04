"""Which engines are installed here, found without importing one: the agent may ask.

The names of the packages' metadata folders alone decide: `importlib.metadata` would say the same, for two megabytes
in every process. Whether an installed engine also starts is the catalog's business.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-migraphx"),
    "openvino": ("openvino",),
    "stub": ("nearfield",),
}
"""The packages that bring each engine, the preferred one first."""

EXTRAS: dict[str, str] = {"litert": "tflite", "onnxruntime": "onnx", "openvino": "openvino"}
"""The extra of `nearfield` that brings each engine."""


@dataclass(frozen=True)
class Installed:
    """An engine's package as it lies here."""

    engine: str
    distribution: str
    version: str


def installed_engines() -> tuple[Installed, ...]:
    """Every package of `DISTRIBUTIONS` that is installed, the preferred one of an engine first."""
    found = ((engine, name, _version(name)) for engine, names in DISTRIBUTIONS.items() for name in names)
    return tuple(Installed(engine, name, version) for engine, name, version in found if version is not None)


def engine_versions() -> dict[str, str]:
    """The version of each installed engine: what a kept proof is compared with."""
    return {found.engine: version_text(found) for found in reversed(installed_engines())}


def version_text(found: Installed) -> str:
    """A version as proofs state it: another package than the preferred one is named."""
    preferred = DISTRIBUTIONS[found.engine][0]
    return found.version if found.distribution == preferred else f"{found.version} ({found.distribution})"


def how_to_get(engine: str) -> str:
    """The command that installs an engine."""
    return f"pip install 'nearfield[{EXTRAS[engine]}]'"


def _version(distribution: str) -> str | None:
    """The version of the first `NAME-VERSION.dist-info` on the module path (PyPA, recording installed projects)."""
    pattern = f"{distribution.replace('-', '_')}-*.dist-info"
    found = next((folder for place in sys.path for folder in Path(place).glob(pattern)), None)
    return None if found is None else found.name.removesuffix(".dist-info").rpartition("-")[2]
