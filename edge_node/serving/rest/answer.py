"""What goes back for an inference: JSON, and behind it the outputs that are wanted binary."""

import msgspec

from edge_node.serving.inference import Answered, InRegion, OutputTensor
from edge_node.serving.rest.convert import to_json
from edge_node.serving.rest.question import Forms
from protos.inference import rest

_ENCODER = msgspec.json.Encoder()


def answer(answered: Answered, forms: Forms) -> tuple[bytes, int | None]:
    """The body, and how long its JSON is where binary outputs are behind it, else None.

    Raises `ServingError` for outputs that JSON has no form for.
    """
    behind: list[bytes | memoryview] = []
    outputs = [_output(output, forms, behind) for output in answered.outputs]
    named = answered.id or msgspec.UNSET
    head = _ENCODER.encode(rest.InferenceAnswer(answered.model, answered.version, outputs, named))
    return (b"".join((head, *behind)), len(head)) if behind else (head, None)


def _output(output: OutputTensor, forms: Forms, behind: list[bytes | memoryview]) -> rest.AnsweredTensor:
    """The JSON of an output; a binary one is put behind the others, one in shared memory is where it was wanted.

    (Of shared memory nothing is said: Triton's C++ client takes every output with parameters for a binary one.)
    """
    name, datatype, data = output.name, output.datatype, output.data
    if isinstance(data, InRegion):
        return rest.AnsweredTensor(name, datatype, output.shape)
    if forms.is_binary(name):
        behind.append(data)
        return rest.AnsweredTensor(name, datatype, output.shape, {"binary_data_size": memoryview(data).nbytes})
    return rest.AnsweredTensor(name, datatype, output.shape, data=to_json(name, datatype, data))
