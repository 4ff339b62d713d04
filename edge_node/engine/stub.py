"""An engine without a runtime, for tests: a `.stub` file says in JSON what goes in and comes out.

    {"inputs": [{"name": "x", "dtype": "uint8", "shape": [1, 8, 8, 3]}],
     "outputs": [{"name": "y", "dtype": "float32", "shape": [1, 4]}], "delay_ms": 5}

The answer is deterministic: the sum of all fed values plus the position in the output, modulo 251; an output with
`values` gives those instead. `delay_ms` is how long each run takes on the processor, `fail_from` the run (counted from
0) from which on every run fails, `crash_from` the one that takes the process with it, as a hostile model does,
`hang_from` the one that never ends, `grow_mb` what each run takes of memory and does not give back.

A rung whose accelerator is not the processor takes a quarter of the time, and fails on command: its `library` is a
file, read at each load and run, that is empty or says `fail`, `crash` or `hang`.
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from edge_node import __version__
from edge_node.engine.base import Array, TensorSpec
from edge_node.engine.feeds import check_feeds
from edge_node.errors import BadInput, EngineFailed
from edge_node.rungs import Rung

PROCESSOR = Rung("stub")


class StubTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor of a `.stub` file; `values` are given flat."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None
    values: tuple[float, ...] | None = None


class StubModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `.stub` file."""

    inputs: tuple[StubTensor, ...]
    outputs: tuple[StubTensor, ...]
    delay_ms: float = 0.0
    fail_from: int | None = None
    crash_from: int | None = None
    hang_from: int | None = None
    grow_mb: float = 0.0


class StubSession:
    """A `.stub` file as a session."""

    engine = "stub"
    engine_version = __version__
    concurrent = False

    def __init__(self, model: StubModel, rung: Rung | None = None) -> None:
        """Hold the model; nothing is loaded."""
        self._model = model
        self._rung = rung or PROCESSOR
        self.accelerator = self._rung.accelerator
        self._runs = 0
        self._grown: list[bytes] = []
        self.inputs = tuple(_spec(tensor) for tensor in model.inputs)
        self.outputs = tuple(_spec(tensor) for tensor in model.outputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `base.Session.run`."""
        check_feeds(self.inputs, feeds)
        obey(self._rung)
        run, self._runs = self._runs, self._runs + 1
        time.sleep(self._model.delay_ms / 1000 / (1 if self._rung == PROCESSOR else 4))
        self._grown.append(b"x" * int(self._model.grow_mb * 2**20))
        if self._model.crash_from is not None and run >= self._model.crash_from:
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._model.hang_from is not None and run >= self._model.hang_from:
            time.sleep(3600)
        if self._model.fail_from is not None and run >= self._model.fail_from:
            raise EngineFailed(f"the stub fails from run {self._model.fail_from} on")
        total = sum(int(feed.astype(np.float64).sum()) for feed in feeds.values())
        return {tensor.name: _answer(tensor, total) for tensor in self._model.outputs}

    def close(self) -> None:
        """Nothing is held."""


class StubEngine:
    """Runs `.stub` files."""

    name = "stub"
    version = __version__
    suffix = ".stub"

    def open(
        self,
        path: Path,
        *,
        threads: int,
        strings: bool = False,
        rung: Rung | None = None,
        compiled: bytes | None = None,
    ) -> StubSession:
        """See `base.Engine.open`; threads, strings and a compiled form make no difference."""
        del threads, strings, compiled
        try:
            obey(rung or PROCESSOR)
            return StubSession(msgspec.json.decode(path.read_bytes(), type=StubModel), rung)
        except EngineFailed as error:
            raise BadInput(f"{path} cannot be loaded: {error}") from None
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}: give the path of a model file") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} is not a stub model: {error}") from None

    def accelerators(self) -> tuple[str, ...]:
        """The processor."""
        return ("cpu",)


def obey(rung: Rung) -> None:
    """Do what a rung's file says.

    Raises:
        EngineFailed: `fail`.
    """
    command = Path(rung.library).read_text(encoding="ascii").strip() if rung.library else ""
    if command == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if command == "hang":
        time.sleep(3600)
    if command == "fail":
        raise EngineFailed(f"the stub's {rung.accelerator} fails as it was told")


def create() -> StubEngine:
    """The engine; it is always there."""
    return StubEngine()


def _spec(tensor: StubTensor) -> TensorSpec:
    return TensorSpec(tensor.name, tensor.dtype, tensor.shape, tensor.scale, tensor.zero_point)


def _answer(tensor: StubTensor, total: int) -> Array:
    shape = tuple(axis or 1 for axis in tensor.shape)
    size = int(np.prod(shape))
    values = np.asarray(tensor.values) if tensor.values is not None else (np.arange(size) + total) % 251
    return values.astype(tensor.dtype).reshape(shape)
