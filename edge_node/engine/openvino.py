"""The door to OpenVINO: the third engine, which takes the files of the other two, `.onnx` and `.tflite`.

Its own API, not ONNX Runtime's plugin, and why: docs/adr/0011-openvino.md. Where the processor has it, float models are
computed in BF16 there, so that answers differ from other engines' and golden vectors have to admit it.

Imported as a whole the package reports that to its maker, and keeps a file about it in the home folder. A node's bytes
are its owner's: the part that does so, which converts models of other frameworks, is left out.
"""

import importlib
import io
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_node.engine.admission import admit
from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import check_feeds
from edge_node.engine.installed import installed_engines, version_text
from edge_node.engine.onnx_file import read_output_names, read_quantization
from edge_node.engine.quiet import without_chatter
from edge_node.engine.tflite_file import read_ends
from edge_node.errors import BadInput, EngineFailed
from edge_node.rungs import Rung

REPORTS = "openvino.tools.ovc"
READERS = {".onnx": "onnxruntime", ".tflite": "litert"}
"""By suffix, the engine whose files these are: they are admitted as its files."""

PROCESSOR = Rung("openvino")

_UNKNOWN_OPERATOR = re.compile(
    r"(?:No conversion rule found for operations|Conversion is failed for): ([\w.]+?)(?:-\d+)?(?:,|\s|$)"
    r"|No translator found for (\S+) node"
)

Quantization = Mapping[str, tuple[float, int]]


class OpenVinoSession:
    """A compiled model with one request on it."""

    engine = "openvino"
    concurrent = False

    def __init__(self, compiled: Any, accelerator: str, names: tuple[str, ...], facts: Quantization, version: str):
        """Describe a compiled model; `names` are its outputs' in the file, `facts` the quantization of its ends."""
        self._compiled, self._request = compiled, compiled.create_infer_request()
        self.accelerator, self.engine_version = accelerator, version
        self.inputs = tuple(_spec(port, port.get_any_name(), facts) for port in compiled.inputs)
        self.outputs = tuple(_spec(port, name, facts) for port, name in zip(compiled.outputs, names, strict=True))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `base.Session.run`. Feeds are looked at where they lie; outputs are copies."""
        check_feeds(self.inputs, feeds)
        try:
            given = self._request.infer([feeds[spec.name] for spec in self.inputs], share_inputs=True)
            return {spec.name: given[place] for place, spec in enumerate(self.outputs)}
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(f"openvino gave up: {_line(error)}") from None

    def exported(self) -> bytes:
        """The compiled model, for `OpenVinoEngine.open` of the same version on the same processor."""
        stream = io.BytesIO()
        self._compiled.export_model(stream)
        return stream.getvalue()

    def close(self) -> None:
        """See `base.Session.close`."""
        self._compiled = self._request = None


class OpenVinoEngine:
    """OpenVINO as it is installed here."""

    name = "openvino"
    suffix = ".onnx"
    suffixes = tuple(READERS)

    def __init__(self, library: Any) -> None:
        """Find the version; devices are looked for when they are asked for."""
        packages = [found for found in installed_engines() if found.engine == self.name]
        self.version = version_text(packages[0]) if packages else str(library.__version__)
        self._library = library
        self._made: Any = None

    def open(
        self,
        path: Path,
        *,
        threads: int,
        strings: bool = False,
        rung: Rung | None = None,
        compiled: bytes | None = None,
    ) -> OpenVinoSession:
        """See `base.Engine.open`; models that take or give text are left to ONNX Runtime.

        A rung's accelerator is the device in small letters: `cpu`, `gpu`, `gpu.1`, `npu`.
        """
        del strings
        rung = rung or PROCESSOR
        admit(path, READERS.get(path.suffix.lower(), self.name))
        device, settings = rung.accelerator.upper(), _settings(rung, threads)
        self._check(device)
        try:
            with without_chatter():
                native = self._native(path, device, settings, compiled)
        except RuntimeError as error:
            raise BadInput(_load_complaint(path, error)) from None
        _check_types(path, [*native.inputs, *native.outputs])
        names, facts = _said_in(path)
        return OpenVinoSession(native, rung.accelerator, names, facts, self.version)

    def accelerators(self) -> tuple[str, ...]:
        """The processor; other devices are used where the node's configuration names them."""
        return tuple(device.lower() for device in self.devices())

    def devices(self) -> tuple[str, ...]:
        """What the library finds here: `CPU`, `GPU.0`, `NPU`."""
        with without_chatter():
            return tuple(self._core().available_devices)

    def _native(self, path: Path, device: str, settings: dict[str, Any], compiled: bytes | None) -> Any:
        core = self._core()
        if compiled is not None:
            with suppress(RuntimeError):  # the library may think better of its own form
                return core.import_model(compiled, device, settings)
        return core.compile_model(core.read_model(str(path)), device, settings)

    def _check(self, device: str) -> None:
        here = self.devices()
        if not any(one == device or one.startswith(f"{device}.") for one in here):
            raise BadInput(f"openvino finds no {device} here, only {', '.join(here) or 'nothing'}")

    def _core(self) -> Any:
        if self._made is None:
            self._made = self._library.Core()
        return self._made


def create() -> OpenVinoEngine:
    """The engine.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules.setdefault(REPORTS, None)  # type: ignore[arg-type]  # None: cannot be imported, which the package allows
    return OpenVinoEngine(importlib.import_module("openvino"))


def _settings(rung: Rung, threads: int) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if rung.accelerator == PROCESSOR.accelerator:
        settings |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    return settings | rung.options


def _said_in(path: Path) -> tuple[tuple[str, ...], Quantization]:
    """What the file calls its outputs, and the quantization of its ends: the library has neither for sure."""
    if path.suffix.lower() == ".onnx":
        return read_output_names(path), read_quantization(path)
    inputs, outputs = read_ends(path)
    facts = {end.name: end.quantization for end in (*inputs, *outputs) if end.quantization is not None}
    return tuple(end.name for end in outputs), facts


def _spec(port: Any, name: str, facts: Quantization) -> TensorSpec:
    shape = tuple(axis.get_length() if axis.is_static else None for axis in port.get_partial_shape())
    dtype = str(port.get_element_type().to_dtype())
    scale, zero_point = facts.get(name, (None, None)) if "int" in dtype else (None, None)
    return TensorSpec(name, dtype, shape, scale, zero_point)


def _check_types(path: Path, ports: list[Any]) -> None:
    for port in ports:
        element = port.get_element_type()
        if port.get_partial_shape().rank.is_dynamic:
            raise BadInput(f"{path}: {port.get_any_name()!r} has any number of axes, which openvino does not run")
        if element.get_type_name() not in NUMBERS:
            what = element.get_type_name()
            raise BadInput(f"{path}: {port.get_any_name()!r} is a tensor of {what}, not of numbers: use onnxruntime")


NUMBERS = frozenset({"f16", "f32", "f64", "boolean", *(f"{sign}{bits}" for sign in "iu" for bits in (8, 16, 32, 64))})
"""The library's names of the types of elements that numpy has too."""


def _load_complaint(path: Path, error: Exception) -> str:
    operator = _UNKNOWN_OPERATOR.search(str(error))
    if operator is not None:
        name = next(filter(None, operator.groups()))
        return f"{path} needs the operator {name}, which openvino does not have: run it with the engine of its format"
    return f"{path} cannot be loaded by openvino: {_line(error)}"


def _line(error: Exception) -> str:
    """What went wrong, of the many lines that say where in the library."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check ", "FrontEnd API", "--"))]
    return (told or lines or [type(error).__name__])[0]
