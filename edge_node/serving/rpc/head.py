"""The head of a ModelInferRequest (all but id and raw tensors), read, and remembered for the next one. Pure.

What a model takes is not checked here.
"""

from dataclasses import dataclass
from functools import lru_cache

from google.protobuf.message import DecodeError

from edge_node.lane.messages import Sequence as SequenceStep
from edge_node.serving.inference import InRegion, Kind, RequestedOutput, ServingError
from edge_node.serving.rpc import parameters
from edge_node.serving.rpc.contents import raw_of
from protos.inference import grpc_service_pb2 as oip

REMEMBERED = 256
REMEMBERED_BYTES = 1024
"""of a head; longer ones have typed contents or are nobody's habit"""


InputHead = tuple[str, str, tuple[int, ...], bytes | InRegion | None]
"""Name, datatype, shape, and the bytes where they are no raw tensor."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says beside id and tensors. An input's data is None where its bytes are a raw tensor.

    `raw` is how many raw tensors belong to the request, `typed` the name of an input with typed contents.
    """

    model: str
    version: str
    inputs: tuple[InputHead, ...]
    outputs: tuple[RequestedOutput, ...]
    priority: int
    timeout_us: int
    sequence: SequenceStep | None
    raw: int
    typed: str


def read_head(head: bytes) -> Head:
    """The head of a request.

    Raises:
        ServingError: INVALID; it is no such message, or it contradicts itself.
    """
    return _remembered(head) if len(head) <= REMEMBERED_BYTES else _read(head)


def _read(head: bytes) -> Head:
    try:
        request = oip.ModelInferRequest.FromString(head)
    except DecodeError:
        raise ServingError(Kind.INVALID, "the request is no ModelInferRequest") from None
    inputs = tuple(_input(tensor) for tensor in request.inputs)
    return Head(
        model=request.model_name,
        version=request.model_version,
        inputs=inputs,
        outputs=tuple(_output(output) for output in request.outputs),
        priority=parameters.whole(request.parameters, "priority"),
        timeout_us=parameters.whole(request.parameters, "timeout"),
        sequence=parameters.sequence(request.parameters),
        raw=sum(data is None for *_, data in inputs),
        typed=next((name for name, _, _, data in inputs if isinstance(data, bytes)), ""),
    )


_remembered = lru_cache(REMEMBERED)(_read)


def _input(tensor: oip.ModelInferRequest.InferInputTensor) -> InputHead:
    data: bytes | InRegion | None = parameters.region(tensor.parameters, f"input '{tensor.name}'")
    if tensor.HasField("contents"):
        if data is not None:
            raise ServingError(
                Kind.INVALID, f"input '{tensor.name}' has contents and is in shared memory: only one of them"
            )
        data = raw_of(tensor.name, tensor.datatype, tensor.contents)
    return tensor.name, tensor.datatype, tuple(tensor.shape), data


def _output(output: oip.ModelInferRequest.InferRequestedOutputTensor) -> RequestedOutput:
    classes = parameters.whole(output.parameters, "classification")
    region = parameters.region(output.parameters, f"output '{output.name}'")
    if classes and region:
        raise ServingError(Kind.INVALID, f"output '{output.name}': classes do not go to shared memory")
    return RequestedOutput(output.name, classes, region)
