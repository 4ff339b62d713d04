"""Turns an answer in a slot into outputs: bytes of their own, classes, or bytes in the client's shared memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_node.lane.messages import Tensor
from edge_node.serving.classify import classes_of
from edge_node.serving.inference import InRegion, OutputTensor, RequestedOutput
from edge_node.serving.regions import Regions


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of a model's classes, and which output has them; `batched`: the first axis is the batch."""

    labels: Sequence[str]
    output: str
    batched: bool


def outputs_of(
    tensors: Sequence[Tensor], slot: memoryview, requested: Sequence[RequestedOutput], labelled: Labelled, to: Regions
) -> list[OutputTensor]:
    """The outputs that were requested, or all; nothing of them refers to the slot.

    Args:
        tensors: of a checked answer.
        slot: where they lie.
        requested: what the client wants; empty for all as they are.
        labelled: the model's labels.
        to: where shared memory is written.

    Raises:
        ServingError: an output has no classes, or does not fit where it is to go.
    """
    if not requested:
        return [OutputTensor(one.name, one.datatype, one.shape, bytes(_in(slot, one))) for one in tensors]
    by_name = {tensor.name: tensor for tensor in tensors}
    return [_output(by_name[one.name], slot, one, labelled, to) for one in requested]


def _output(tensor: Tensor, slot: memoryview, wanted: RequestedOutput, labelled: Labelled, to: Regions) -> OutputTensor:
    data: bytes | memoryview = _in(slot, tensor)
    datatype, shape = tensor.datatype, tensor.shape
    if wanted.classes > 0:
        labels = labelled.labels if tensor.name == labelled.output else ()
        data, shape = classes_of(_in(slot, tensor), datatype, shape, wanted.classes, labels, batched=labelled.batched)
        datatype = "BYTES"
    if wanted.region is None:
        return OutputTensor(tensor.name, datatype, shape, bytes(data))
    to.write(wanted.region, memoryview(data))
    return OutputTensor(tensor.name, datatype, shape, InRegion(wanted.region.name, wanted.region.offset, len(data)))


def _in(slot: memoryview, tensor: Tensor) -> memoryview:
    return slot[tensor.offset : tensor.offset + tensor.size]
