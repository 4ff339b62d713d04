"""The door to ONNX Runtime.

Sessions have their own threads (one unless asked otherwise) that never spin, and name their execution providers:
the library's own order would begin with one that calls a cloud. Since 1.29 the library also reports its use to its
maker unless told not to before it is loaded; a node's bytes are its owner's, so it is told.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, when the library is loaded
import onnxruntime

from edge_node.engine.admission import admit
from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import check_feeds
from edge_node.engine.installed import installed_engines, version_text
from edge_node.engine.onnx_file import Quantization, read_quantization
from edge_node.errors import BadInput, EngineFailed
from edge_node.rungs import Rung

PROVIDERS: dict[str, str] = {
    "NvTensorRTRTXExecutionProvider": "tensorrt-rtx",
    "TensorrtExecutionProvider": "tensorrt",
    "CUDAExecutionProvider": "cuda",
    "MIGraphXExecutionProvider": "migraphx",
    "ROCMExecutionProvider": "rocm",
    "OpenVINOExecutionProvider": "openvino",
    "QNNExecutionProvider": "qnn",
    "CoreMLExecutionProvider": "coreml",
    "DmlExecutionProvider": "directml",
    "XnnpackExecutionProvider": "xnnpack",
    "CPUExecutionProvider": "cpu",
}
"""The execution providers that a node can be told to use, and our names for them."""

PROCESSOR = Rung("onnxruntime")
PROCESSOR_PROVIDER = "CPUExecutionProvider"

DTYPES: dict[str, str] = {
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "bool": "bool",
    "string": "object",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
STRING = "string"
FATAL = 4
_UNKNOWN_OPERATOR = re.compile(
    r"No Op registered for (\S+)|error: (\S+?)\(-?\d+\) is not a registered"
    r"|Could not find an implementation for (\S+?)\("
)


class OnnxSession:
    """A loaded `.onnx` file."""

    engine = "onnxruntime"
    concurrent = True

    def __init__(self, native: Any, facts: Quantization, version: str) -> None:
        """Describe a session of the library."""
        self._native = native
        self.engine_version = version
        self.accelerator = PROVIDERS.get(native.get_providers()[0], native.get_providers()[0])
        self.inputs = tuple(_spec(node, facts) for node in native.get_inputs())
        self.outputs = tuple(_spec(node, facts) for node in native.get_outputs())
        self._names = [spec.name for spec in self.outputs]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `base.Session.run`."""
        check_feeds(self.inputs, feeds)
        try:
            outputs = self._native.run(self._names, feeds)
        except Exception as error:  # noqa: BLE001 the library's errors share no class but Exception
            raise EngineFailed(f"onnxruntime gave up: {first_line(error)}") from None
        return dict(zip(self._names, outputs, strict=True))

    def close(self) -> None:
        """See `base.Session.close`."""
        self._native = None


class OnnxEngine:
    """ONNX Runtime as it is installed here."""

    name = "onnxruntime"
    suffix = ".onnx"

    def __init__(self) -> None:
        """Find the version; nothing is loaded."""
        packages = [found for found in installed_engines() if found.engine == self.name]
        self.version = version_text(packages[0]) if packages else onnxruntime.__version__
        self._providers = _usable(onnxruntime.get_available_providers())

    def open(
        self,
        path: Path,
        *,
        threads: int,
        strings: bool = False,
        rung: Rung | None = None,
        compiled: bytes | None = None,
    ) -> OnnxSession:
        """See `base.Engine.open`. It has no compiled form: making one saves too little (docs/reference/engines.md)."""
        del compiled
        admit(path, self.name)
        facts = read_quantization(path)
        native = self._native(path, _options(threads), rung or PROCESSOR)
        _check_types(path, [*native.get_inputs(), *native.get_outputs()], strings)
        return OnnxSession(native, facts, self.version)

    def accelerators(self) -> tuple[str, ...]:
        """The execution providers of the library as it is installed; the processor is used unless a rung says more."""
        return tuple(PROVIDERS[provider] for provider in self._providers)

    def _native(self, path: Path, options: Any, rung: Rung) -> Any:
        """The library's session. What the provider cannot run, the processor does; the provider itself has to work."""
        wanted = "" if rung.accelerator == PROCESSOR.accelerator else self._wanted(options, rung)
        given = [(wanted, rung.options)] if wanted and not rung.library else []
        providers = None if rung.library else [*given, PROCESSOR_PROVIDER]
        try:
            native = onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
        except Exception as error:  # noqa: BLE001 the library's errors share no class but Exception
            raise BadInput(_load_complaint(path, first_line(error))) from None
        if wanted and wanted not in native.get_providers():
            raise BadInput(f"onnxruntime does not start {wanted} here: see whether the device and its driver are there")
        return native

    def _wanted(self, options: Any, rung: Rung) -> str:
        """The library's name of a rung's provider, made ready.

        Raises:
            BadInput: it is not in this build, or its plugin finds no device.
        """
        provider = next((full for full, name in PROVIDERS.items() if name == rung.accelerator), None)
        if provider is None:
            raise BadInput(f"onnxruntime knows no provider {rung.accelerator!r}: {', '.join(PROVIDERS.values())}")
        if rung.library:
            add_plugin(options, provider, rung)
        elif provider not in self._providers:
            here = ", ".join(self.accelerators())
            raise BadInput(f"onnxruntime {self.version} has no provider {rung.accelerator}, only {here}: see doctor")
        return provider


def create() -> OnnxEngine:
    """The engine; importing this file has shown that the library is there."""
    return OnnxEngine()


def _usable(available: list[str]) -> list[str]:
    return [provider for provider in PROVIDERS if provider in available]


def add_plugin(options: Any, provider: str, rung: Rung) -> None:
    """Have a session use the devices that a plugin library finds.

    Raises:
        BadInput: it is no such library, or finds none.
    """
    try:
        if rung.library not in _registered:
            onnxruntime.register_execution_provider_library(provider, rung.library)
            _registered.add(rung.library)
        devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name.startswith(provider)]
        if devices:
            options.add_provider_for_devices(devices[:1], rung.options)
    except Exception as error:  # noqa: BLE001 the library's errors share no class but Exception
        raise BadInput(f"{rung.library} is no plugin that onnxruntime can use: {first_line(error)}") from None
    if not devices:
        raise BadInput(f"{rung.library} finds no device for {rung.accelerator} here")


_registered: set[str] = set()
"""The library registers a plugin once in a process."""


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL  # what matters is raised; warnings of exporters would fill the log
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _spec(node: Any, facts: Quantization) -> TensorSpec:
    shape = tuple(axis if isinstance(axis, int) and axis > 0 else None for axis in node.shape)
    dtype = DTYPES[_element(node)]
    scale, zero_point = facts.get(node.name, (None, None)) if "int" in dtype else (None, None)
    axes = tuple(axis if isinstance(axis, str) else "" for axis in node.shape)
    return TensorSpec(node.name, dtype, shape, scale, zero_point, axes if any(axes) else ())


def _element(node: Any) -> str:
    """The type of a tensor's elements, in the library's words; a sequence or map keeps its whole type."""
    return str(node.type).removeprefix("tensor(").removesuffix(")")


def _check_types(path: Path, nodes: list[Any], strings: bool) -> None:
    """Classifiers of scikit-learn, for one, give sequences of maps unless they are exported without."""
    for node in nodes:
        if _element(node) not in DTYPES or (_element(node) == STRING and not strings):
            raise BadInput(f"{path}: {node.name!r} is a {node.type}, no tensor of numbers: export it without such ends")


def _load_complaint(path: Path, line: str) -> str:
    operator = _UNKNOWN_OPERATOR.search(line)
    if operator is not None:
        name = next(filter(None, operator.groups()))
        return f"{path} needs the operator {name}, which onnxruntime does not have: export it with standard operators"
    return f"{path} cannot be loaded by onnxruntime: {line}"


def quiet() -> None:
    """Have the library say nothing, also in sessions that others open: what matters is raised."""
    onnxruntime.set_default_logger_severity(FATAL)


def first_line(error: Exception) -> str:
    """What the library says, without its own prefix and the path that the complaint has already."""
    first = str(error).strip().splitlines()[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?", "", first)
