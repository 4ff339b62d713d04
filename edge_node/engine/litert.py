"""The door to LiteRT: `ai-edge-litert`, or its predecessor `tflite-runtime` where that is what is installed.

Both have the same interpreter. tflite-runtime imports beside numpy 2 and fails at the first model, so numpy's
version is checked before it is taken. A session runs at the shapes the file was saved with: an open batch is 1. What
a model keeps in variables of its own begins anew with every run.
"""

import ctypes
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_node.engine.admission import admit
from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import check_feeds
from edge_node.engine.installed import installed_engines, version_text
from edge_node.engine.quiet import without_chatter
from edge_node.errors import BadInput, EngineFailed
from edge_node.rungs import Rung

LIBRARIES: dict[str, str] = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
PROCESSOR = Rung("litert")
DELEGATE_ENTRY = "tflite_plugin_create_delegate"
"""What every external delegate exports (tensorflow/lite/delegates/external)."""
_UNKNOWN_OPERATOR = re.compile(r"unresolved custom op: (\S+?)\.?(?:\s|$)|Didn't find op for builtin opcode '(\w+)'")


class LiteRtSession:
    """A loaded `.tflite` file."""

    engine = "litert"
    concurrent = False

    def __init__(self, native: Any, version: str, accelerator: str = PROCESSOR.accelerator) -> None:
        """Describe an interpreter whose tensors are allocated."""
        self._native = native
        self.accelerator = accelerator
        self.engine_version = version
        inputs, outputs = native.get_input_details(), native.get_output_details()
        self.inputs = tuple(_spec(detail) for detail in inputs)
        self.outputs = tuple(_spec(detail) for detail in outputs)
        self._inputs = [(detail["name"], detail["index"]) for detail in inputs]
        self._outputs = [(detail["name"], detail["index"]) for detail in outputs]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `base.Session.run`; both ways are copies, so that no array looks into the interpreter."""
        check_feeds(self.inputs, feeds)
        try:
            self._native.reset_all_variables()  # else a recurrent model's answers depend on whoever asked before
            for name, index in self._inputs:
                self._native.set_tensor(index, feeds[name])
            self._native.invoke()
            return {name: self._native.get_tensor(index) for name, index in self._outputs}
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(f"litert gave up: {_line(error)}") from None

    def close(self) -> None:
        """See `base.Session.close`."""
        self._native = None


class LiteRtEngine:
    """LiteRT as it is installed here."""

    name = "litert"
    suffix = ".tflite"

    def __init__(self, library: Any, version: str) -> None:
        """Hold the library: its interpreter class and how it loads delegates."""
        self._library = library
        self.version = version

    def open(
        self,
        path: Path,
        *,
        threads: int,
        strings: bool = False,
        rung: Rung | None = None,
        compiled: bytes | None = None,
    ) -> LiteRtSession:
        """See `base.Engine.open`; no tensors of text, and no compiled form (the interpreter takes no weight cache)."""
        del strings, compiled
        rung = rung or PROCESSOR
        admit(path, self.name)
        delegates = [] if rung.accelerator == PROCESSOR.accelerator else [self._delegate(rung)]
        try:
            with without_chatter():
                native = self._library.Interpreter(
                    model_path=str(path), num_threads=threads, experimental_delegates=delegates
                )
                native.allocate_tensors()
            _check_types(path, [*native.get_input_details(), *native.get_output_details()])
            return LiteRtSession(native, self.version, rung.accelerator)
        except (RuntimeError, ValueError) as error:
            raise BadInput(_load_complaint(path, _line(error))) from None

    def accelerators(self) -> tuple[str, ...]:
        """The processor, through XNNPACK; a delegate is a library that a rung names."""
        return ("cpu",)

    def _delegate(self, rung: Rung) -> Any:
        """The delegate of a rung.

        Raises:
            BadInput: there is no such library, it is no delegate, or it refuses the options.
        """
        try:
            # Looked into first: what the library itself fails to load, it complains of again when it is forgotten.
            if not hasattr(ctypes.CDLL(rung.library), DELEGATE_ENTRY):
                raise BadInput(f"{rung.library} is no delegate of LiteRT: it has no {DELEGATE_ENTRY}")
            with without_chatter():
                return self._library.load_delegate(rung.library, rung.options)
        except OSError as error:
            raise BadInput(f"the delegate {rung.accelerator} cannot be loaded: {_line(error)}") from None
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"the delegate {rung.library} does not start: {_line(error)}") from None


def create() -> LiteRtEngine:
    """The engine on the best of the two libraries that works here.

    Raises:
        ImportError: neither is installed, or only one that does not work with the numpy that is.
    """
    packages = [found for found in installed_engines() if found.engine == "litert"]
    if not packages:
        raise ImportError("ai-edge-litert is not installed")
    chosen = packages[0]
    if chosen.distribution == "tflite-runtime" and int(np.__version__.partition(".")[0]) >= 2:
        raise ImportError(f"tflite-runtime needs numpy 1, here is {np.__version__}")
    library = importlib.import_module(LIBRARIES[chosen.distribution])
    return LiteRtEngine(library, version_text(chosen))


def _spec(detail: dict[str, Any]) -> TensorSpec:
    parameters = detail["quantization_parameters"]
    shape = tuple(int(axis) for axis in detail["shape"])
    dtype = np.dtype(detail["dtype"]).name
    if len(parameters["scales"]) != 1:  # none, or one per channel: only weights have those
        return TensorSpec(detail["name"], dtype, shape)
    return TensorSpec(detail["name"], dtype, shape, float(parameters["scales"][0]), int(parameters["zero_points"][0]))


def _check_types(path: Path, details: list[dict[str, Any]]) -> None:
    for detail in details:
        dtype = np.dtype(detail["dtype"])
        if dtype.kind not in "biuf":
            raise BadInput(
                f"{path}: {detail['name']!r} is a tensor of {dtype.name}, not of numbers: convert it without"
            )


def _load_complaint(path: Path, line: str) -> str:
    operator = _UNKNOWN_OPERATOR.search(line)
    if operator is not None:
        name = next(filter(None, operator.groups()))
        return f"{path} needs the operator {name}, which litert does not have: convert it with built-in operators"
    return f"{path} cannot be loaded by litert, it is no model or truncated ({line}): convert or copy it again"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
