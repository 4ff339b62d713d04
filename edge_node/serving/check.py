"""Checks an inference against a model's ports, and says what it is in the queue: pure.

Messages are those of Triton where it has them, because people search for them. What the bytes mean (lengths of BYTES,
ranges, finite values) is not checked here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from edge_node.lane.messages import Port
from edge_node.lane.messages import Sequence as StatefulSequence
from edge_node.serving.inference import InputTensor, InRegion, Kind, RequestedOutput, ServingError
from protos.inference.datatypes import NUMPY, byte_count

LONGEST_SEQUENCE_ID = 256
"""characters; a head of a slot has to hold it"""
_BYTES_LENGTH = 4

Form = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Name, datatype and shape of a sample of each input (-1: any, it is padded): asks of equal form may share a batch."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a model takes: ports by name, and its largest batch (0: the first axis is no batch axis)."""

    model: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    max_batch: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of an ask by the names, datatypes and shapes of its inputs: worth keeping, for the next one.

    `sizes` are the bytes that each input must have, None for BYTES.
    """

    rows: int
    form: Form
    sizes: tuple[int | None, ...]


def shape_of(taken: Taken, inputs: Sequence[InputTensor]) -> Shape:
    """The shape of an ask with these inputs.

    Raises:
        ServingError: INVALID; a name, datatype, rank or shape does not fit the model.
    """
    _check_names(taken, [tensor.name for tensor in inputs])
    for tensor in inputs:
        _check_port(taken, taken.inputs[tensor.name], tensor)
    batched = taken.max_batch > 0
    form = sorted(
        (one.name, one.datatype, _sample(taken.inputs[one.name], one.shape) if batched else one.shape) for one in inputs
    )
    sizes = tuple(byte_count(tensor.datatype, tensor.shape) for tensor in inputs)
    return Shape(_rows(taken, inputs) if batched else 1, tuple(form), sizes)


def check_sizes(shape: Shape, inputs: Sequence[InputTensor]) -> list[int]:
    """The bytes of each input.

    Raises:
        ServingError: INVALID; an input has other bytes than its shape says.
    """
    sizes = []
    for tensor, expected in zip(inputs, shape.sizes, strict=True):
        data = tensor.data
        size = data.size if isinstance(data, InRegion) else len(data)
        if expected is None:
            if size < _BYTES_LENGTH * prod(tensor.shape):
                raise _invalid(f"input '{tensor.name}' has {prod(tensor.shape)} elements and only {size} bytes")
        elif size != expected:
            raise _invalid(f"unexpected total byte size {size} for input '{tensor.name}', expecting {expected}")
        sizes.append(size)
    return sizes


def check_outputs(taken: Taken, outputs: Sequence[RequestedOutput]) -> tuple[str, ...]:
    """The names of the outputs that are wanted, empty for all.

    Raises:
        ServingError: INVALID; there is no such output, or one is wanted twice.
    """
    names = tuple(output.name for output in outputs)
    if len(set(names)) != len(names):
        raise _invalid(f"an output of model '{taken.model}' is requested more than once")
    for output in outputs:
        port = taken.outputs.get(output.name)
        if port is None:
            raise _invalid(f"unexpected inference output '{output.name}' for model '{taken.model}'")
        if output.classes and port.datatype in ("BYTES", "BOOL"):
            raise _invalid(f"output '{output.name}' is {port.datatype}: it has no classes")
    return names


def check_sequence(model: str, sequence: StatefulSequence | None) -> StatefulSequence:
    """The sequence that an ask of a recurrent model belongs to.

    Raises:
        ServingError: INVALID; it names none, or one with too long a name.
    """
    if sequence is None:
        raise _invalid(f"inference request to model '{model}' must specify a non-zero or non-empty correlation ID")
    if isinstance(sequence.id, str) and len(sequence.id) > LONGEST_SEQUENCE_ID:
        raise _invalid(f"a correlation ID has at most {LONGEST_SEQUENCE_ID} characters")
    return sequence


def _check_names(taken: Taken, names: Sequence[str]) -> None:
    for name in names:
        if name not in taken.inputs:
            raise _invalid(f"unexpected inference input '{name}' for model '{taken.model}'")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _invalid(f"input '{twice}' already exists in request")
    missing = [name for name in taken.inputs if name not in names]
    if missing:
        raise _invalid(
            f"expected {len(taken.inputs)} inputs but got {len(names)} inputs for model '{taken.model}'. "
            f"Got input(s) {_quoted(names)}, but missing required input(s) {_quoted(missing)}. "
            f"Please provide all required input(s)."
        )


def _check_port(taken: Taken, port: Port, tensor: InputTensor) -> None:
    if tensor.datatype != port.datatype:
        known = "" if tensor.datatype in NUMPY else ", which is no datatype"
        raise _invalid(
            f"inference input '{tensor.name}' data-type is '{tensor.datatype}'{known}, but model '{taken.model}' "
            f"expects '{port.datatype}'"
        )
    fits = len(tensor.shape) == len(port.shape) and all(
        axis >= 0 if wanted < 0 else axis == wanted for axis, wanted in zip(tensor.shape, port.shape, strict=True)
    )
    if not fits:
        raise _invalid(
            f"unexpected shape for input '{tensor.name}' for model '{taken.model}'. "
            f"Expected {_listed(port.shape)}, got {_listed(tensor.shape)}"
        )


def _sample(port: Port, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What the samples of a batch have in common. In padded axes the power of two: none grows to twice its size."""
    return tuple(-axis.bit_length() if place in port.padded else axis for place, axis in enumerate(shape) if place)


def _rows(taken: Taken, inputs: Sequence[InputTensor]) -> int:
    rows = inputs[0].shape[0] if inputs else 1
    for tensor in inputs:
        if tensor.shape[0] != rows:
            raise _invalid(f"input '{tensor.name}' batch size does not match other inputs for '{taken.model}'")
    if not 1 <= rows <= taken.max_batch:
        raise _invalid(f"inference request batch-size must be <= {taken.max_batch} for '{taken.model}', and not {rows}")
    return rows


def _quoted(names: Iterable[str]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"


def _listed(shape: Sequence[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _invalid(reason: str) -> ServingError:
    return ServingError(Kind.INVALID, reason)
