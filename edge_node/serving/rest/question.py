"""What an inference over HTTP asks: its body, JSON with or without binary tensors behind it, becomes an `Inference`.

Binary tensors stay where they came in: memoryviews of the body. Whether they fit the model is decided by `Serving`.
Source: triton-inference-server, docs/protocol/extension_binary_data.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import msgspec

from edge_node.lane.messages import Port, Sequence
from edge_node.serving.inference import Inference, InputTensor, InRegion, RequestedOutput
from edge_node.serving.rest.coding import too_large
from edge_node.serving.rest.convert import MOST_TEXT, from_json
from edge_node.serving.rest.lists import Document, Pause, no_pause, without_lists
from edge_node.serving.rest.reading import decoded, flag, invalid, size, text
from edge_node.serving.seam import Model
from protos.inference import rest
from protos.inference.datatypes import SIZES
from protos.inference.elements import joined

_HEAD = msgspec.json.Decoder(rest.InferenceRequest)
_NO_PARAMETERS: rest.Parameters = {}
_REGION = "shared_memory_region"
_CONTENTS = f"'data', 'binary_data_size' in 'parameters' or '{_REGION}' in 'parameters'"
NS_OF_US = 1000
LARGE = 1 << 18
"""JSON above is read without its long lists first"""
MOST_BESIDE = MOST_TEXT + LARGE
"""what may be left of it then: strings, mostly"""


@dataclass(frozen=True, slots=True)
class Forms:
    """In which form outputs are wanted: behind the JSON (binary) or in it; by name where a name is in `binary`."""

    default: bool
    binary: Mapping[str, bool]

    def is_binary(self, name: str) -> bool:
        """Whether this output goes behind the JSON."""
        return self.binary.get(name, self.default)


def json_length(header: str | None, body: bytes | bytearray) -> int | None:
    """Where the JSON of a body ends and binary tensors begin, None for a body that is all JSON."""
    if header is None:
        return None
    length = int(header) if header.isascii() and header.isdigit() and len(header) < 16 else -1
    if not 0 <= length <= len(body):
        raise invalid(f"{rest.HEADER_LENGTH} is '{header[:20]}', the request has {len(body)} bytes")
    return length


def question(
    model: str,
    version: str,
    body: bytes | bytearray,
    length: int | None,
    now_ns: int,
    pause: Pause = no_pause,
    beside: int = MOST_BESIDE,
) -> tuple[Inference, Forms]:
    """The inference that a body asks for, and the forms of its outputs. `now_ns` is of CLOCK_MONOTONIC;
    `beside` is the most that there may be beside long lists.

    Raises `ServingError` where the body is not what the protocol says.
    """
    view = memoryview(body)
    text = body if length is None else body[:length]
    document = without_lists(text, pause) if len(text) > LARGE else Document(text, [])
    if len(document.text) > beside:
        raise too_large(len(document.text), beside)
    head = decoded(_HEAD, document.text)
    parameters = head.parameters or _NO_PARAMETERS
    outputs = head.outputs or ()
    timeout_us = size(parameters, "timeout")
    inference = Inference(
        model=model,
        version=version,
        inputs=_inputs(model, head.inputs, document, view[len(text) :], pause),
        outputs=tuple(map(_requested, outputs)),
        id=head.id or "",
        priority=size(parameters, "priority"),
        deadline_ns=now_ns + timeout_us * NS_OF_US if timeout_us else 0,
        sequence=_sequence(parameters),
    )
    binary = {output.name: flag(output.parameters or _NO_PARAMETERS, "binary_data") for output in outputs}
    return inference, Forms(flag(parameters, "binary_data_output"), binary)


def _inputs(
    model: str, heads: tuple[rest.InputTensor, ...], document: Document, behind: memoryview, pause: Pause
) -> tuple[InputTensor, ...]:
    """The inputs, of which the binary ones lie behind the JSON in their order, with nothing before or after."""
    tensors = []
    position = 0
    for head in heads:
        data = _content(head, document, behind[position:], pause)
        if isinstance(data, memoryview):
            position += len(data)
        tensors.append(InputTensor(head.name, head.datatype, head.shape, data))
    if position != len(behind):
        raise invalid(f"unexpected additional input data for model '{model}': {len(behind) - position} bytes")
    return tuple(tensors)


def _content(
    head: rest.InputTensor, document: Document, behind: memoryview, pause: Pause
) -> bytes | memoryview | InRegion:
    parameters = head.parameters or _NO_PARAMETERS
    binary, shared, listed = (
        "binary_data_size" in parameters,
        _REGION in parameters,
        isinstance(head.data, msgspec.Raw),
    )
    if binary + shared + listed != 1:
        raise invalid(f"input '{head.name}' must have one of {_CONTENTS}, it has {binary + shared + listed}")
    if shared:
        return _region(parameters)
    if isinstance(head.data, msgspec.Raw):
        return from_json(head.name, head.datatype, head.shape, document.list_of(head.data) or head.data, pause)
    wanted = size(parameters, "binary_data_size")
    if wanted > len(behind):
        raise invalid(f"input '{head.name}' has {wanted} bytes of binary data, {len(behind)} came")
    return behind[:wanted]


def _region(parameters: rest.Parameters) -> InRegion:
    return InRegion(
        text(parameters, _REGION), size(parameters, "shared_memory_offset"), size(parameters, "shared_memory_byte_size")
    )


def _requested(output: rest.RequestedOutput) -> RequestedOutput:
    parameters = output.parameters
    if not parameters:
        return RequestedOutput(output.name)
    classes, shared = size(parameters, "classification"), _REGION in parameters
    if shared and classes:
        raise invalid(f"output '{output.name}': shared memory can't be set on classification output")
    if shared and flag(parameters, "binary_data"):
        raise invalid(f"output '{output.name}': 'binary_data' can't be set on output in shared memory")
    return RequestedOutput(output.name, classes, _region(parameters) if shared else None)


def _sequence(parameters: rest.Parameters) -> Sequence | None:
    """Which sequence, None for 0 and the empty string: those are in none."""
    value = parameters.get("sequence_id")
    number = value if isinstance(value, str) else size(parameters, "sequence_id")
    if not number:
        return None
    return Sequence(number, flag(parameters, "sequence_start"), flag(parameters, "sequence_end"))


def raw_question(model: Model, body: bytes | bytearray) -> tuple[Inference, Forms]:
    """The inference of a body without JSON: it is the one input of the model, and all outputs are wanted binary."""
    if len(model.inputs) != 1:
        raise invalid(f"a raw binary request needs a model with one input, '{model.name}' has {len(model.inputs)}")
    port = model.inputs[0]
    data = joined([bytes(body)]) if port.datatype == "BYTES" else body
    tensor = InputTensor(port.name, port.datatype, _raw_shape(port, model.max_batch, len(body)), memoryview(data))
    return Inference(model.name, model.version, (tensor,)), Forms(default=True, binary={})


def _raw_shape(port: Port, max_batch: int, length: int) -> tuple[int, ...]:
    """A batch of one; one more open axis is what the body's length makes it. BYTES are one element."""
    shape = (1, *port.shape[1:]) if max_batch else port.shape
    fixed = prod(axis for axis in shape if axis >= 0)
    elements = length // SIZES[port.datatype] if port.datatype in SIZES else 1
    if shape.count(-1) > 1 or not fixed:
        raise invalid(f"a raw binary request can't tell which shape of {list(port.shape)} input '{port.name}' has")
    return tuple(elements // fixed if axis < 0 else axis for axis in shape)
