"""Golden vectors: samples with the outputs that every device must reproduce, one `.npz` file each.

`input.<i>` is the canonical sample of the i-th sample input (before layout and quantization); `output.<i>` is the
i-th output of the model, dequantized, float32. A recurrent model's vector is one step from the zero state.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from edge_node.engine.base import Array
from edge_node.errors import BadInput
from edge_node.pipeline.runner import Runner, Sample
from edge_node.pipeline.tensors import dequantize
from protos.admission.bundle import content_of
from protos.admission.limits import LIMITS
from protos.admission.npz import check_npz

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Vector:
    """One golden vector."""

    inputs: tuple[Array, ...]
    outputs: tuple[Floats, ...]


UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,  # a compression that nobody uses
    RuntimeError,  # an encrypted member
    MemoryError,  # a header that promises more than there is memory
    OverflowError,
)
"""What numpy and zipfile raise at an `.npz` file that is damaged or made to hurt."""


def make_vector(runner: Runner, sample: Sample) -> Vector:
    """What a reference variant makes of a sample. The runner's state begins and ends at zero.

    Raises:
        BadInput, EngineFailed: the sample does not fit, or the engine gave up.
    """
    inputs = runner.canonical(sample)
    return Vector(inputs, outputs_of(runner, inputs))


def outputs_of(runner: Runner, inputs: tuple[Array, ...]) -> tuple[Floats, ...]:
    """The dequantized outputs of one step from the zero state, in the model's order.

    Raises:
        BadInput, EngineFailed: the inputs do not fit, or the engine gave up.
    """
    runner.reset()
    outputs = runner.infer(runner.prepare_canonical(inputs))
    runner.reset()
    return tuple(dequantize(outputs[spec.name], spec) for spec in runner.session.outputs)


def vector_bytes(vector: Vector) -> bytes:
    """A `.npz` file; the same vector gives the same bytes."""
    named = {f"input.{i}": array for i, array in enumerate(vector.inputs)}
    named |= {f"output.{i}": array for i, array in enumerate(vector.outputs)}
    file = io.BytesIO()
    np.savez_compressed(file, **named)  # type: ignore[arg-type]
    return file.getvalue()


def read_vector(path: Path) -> Vector:
    """Read a `.npz` file.

    Raises:
        BadInput: it is none, or holds no golden vector.
    """
    try:
        with path.open("rb") as file:
            check_npz(content_of(file, LIMITS.vector_bytes))
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
            outputs = tuple(array.astype(np.float32) for array in _numbered(arrays, "output"))
            vector = Vector(_numbered(arrays, "input"), outputs)
    except UNREADABLE as error:
        raise BadInput(
            f"{path} is no golden vector ({error}): make it again with edgectl model init --golden"
        ) from None
    if not vector.inputs or not vector.outputs:
        raise BadInput(f"{path} is no golden vector: it needs arrays named input.0 and output.0")
    return vector


def _numbered(arrays: NpzFile, name: str) -> tuple[Array, ...]:
    found: list[Array] = []
    while f"{name}.{len(found)}" in arrays.files:
        found.append(arrays[f"{name}.{len(found)}"])
    return tuple(found)
