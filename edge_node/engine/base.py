"""What an engine is: opens a model file, says what goes in and comes out, and runs it.

One file per runtime implements this (`onnx`, `litert`, `openvino`, `stub`); one conformance suite runs on all of them.
Constructors of sessions read the file; nothing else here does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_node.rungs import Rung

Array = NDArray[np.generic]


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a model.

    `dtype` is numpy's name of the type, `shape` has None for dynamic axes. A quantized tensor has its affine
    parameters: real = scale * (q - zero_point). `axes` are the names that the file has for dynamic axes, empty for
    others; none where it names none.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None
    axes: tuple[str, ...] = ()


class Session(Protocol):
    """A loaded variant. Not thread-safe: one caller at a time, unless `concurrent` says that `run` takes several."""

    concurrent: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def engine(self) -> str:
        """The engine's name."""

    @property
    def engine_version(self) -> str:
        """The engine's version."""

    @property
    def accelerator(self) -> str:
        """What it runs on: `cpu`, an execution provider, a delegate, a device."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, arrays that the caller owns.

        Args:
            feeds: an array of the right dtype and shape for every input, by name.

        Raises:
            BadInput: a feed is missing or of the wrong dtype or shape.
            EngineFailed: the engine gave up.
        """

    def close(self) -> None:
        """Give back what the session holds. Idempotent."""


class Engine(Protocol):
    """A runtime that is installed here."""

    name: str
    version: str
    suffix: str
    """of the files that it runs: `.onnx`, `.tflite`"""

    def open(
        self,
        path: Path,
        *,
        threads: int,
        strings: bool = False,
        rung: Rung | None = None,
        compiled: bytes | None = None,
    ) -> Session:
        """Load a model file.

        Args:
            path: the model file.
            threads: of one inference on the processor.
            strings: tensors of text are taken too (dtype `object`), which pipelines cannot feed.
            rung: the accelerator and how to reach it; None: the processor.
            compiled: what `exported` of a session gave for the same file, rung, engine version and processor.

        Raises:
            BadInput: not a model, truncated, it needs an operator that this engine does not have, or the accelerator
                is not there.
            Refused: it is hostile, or larger than any model for a device: see `protos.admission`.
        """

    def accelerators(self) -> tuple[str, ...]:
        """What the library finds here, best first: `cpu`, execution providers; no delegates and no plugins."""
