"""An `Answered` as a serialized ModelInferResponse: pure.

What is the same again and again (names, datatypes, shapes) is written by protobuf once and remembered; id and tensors
are put behind it, each tensor copied once. Fields may come in any order.
"""

from functools import lru_cache

from edge_node.serving.inference import Answered, InRegion
from protos.inference import grpc_service_pb2 as oip

_ID = b"\x1a"
_RAW = b"\x32"
"""Tags of ModelInferResponse: field 3 and field 6, each with a length."""
_STREAMED = b"\x12"
"""The tag of ModelStreamInferResponse.infer_response."""
_LAST = oip.ModelInferResponse(
    parameters={"triton_final_response": oip.InferParameter(bool_param=True)}
).SerializeToString()
_REMEMBERED = 256

OutputHead = tuple[str, str, tuple[int, ...], InRegion | None]


def answer(answered: Answered) -> bytes:
    """The response. A tensor in shared memory has empty raw contents: clients count."""
    return b"".join(_pieces(answered))


def streamed_answer(answered: Answered) -> bytes:
    """The response in a stream, marked as the request's last (and only) one, as Triton's clients ask."""
    pieces = [*_pieces(answered), _LAST]
    size = sum(map(len, pieces))
    return b"".join((_STREAMED, _varint(size), *pieces))


def streamed_failure(reason: str, request: str) -> bytes:
    """A request of a stream that is not answered, with its id."""
    return oip.ModelStreamInferResponse(
        error_message=reason, infer_response=oip.ModelInferResponse(id=request)
    ).SerializeToString()


def _pieces(answered: Answered) -> list[bytes | memoryview]:
    heads = tuple(
        (one.name, one.datatype, one.shape, one.data if isinstance(one.data, InRegion) else None)
        for one in answered.outputs
    )
    pieces: list[bytes | memoryview] = [_head(answered.model, answered.version, heads)]
    if answered.id:
        named = answered.id.encode()
        pieces += (_ID, _varint(len(named)), named)
    for output in answered.outputs:
        data = b"" if isinstance(output.data, InRegion) else output.data
        pieces += (_RAW, _varint(len(data)), data)
    return pieces


@lru_cache(_REMEMBERED)
def _head(model: str, version: str, outputs: tuple[OutputHead, ...]) -> bytes:
    head = oip.ModelInferResponse(model_name=model, model_version=version)
    for name, datatype, shape, region in outputs:
        output = head.outputs.add(name=name, datatype=datatype, shape=shape)
        if region is not None:
            output.parameters["shared_memory_region"].string_param = region.name
            output.parameters["shared_memory_byte_size"].int64_param = region.size
            if region.offset:
                output.parameters["shared_memory_offset"].int64_param = region.offset
    return head.SerializeToString()


@lru_cache(_REMEMBERED)
def _varint(number: int) -> bytes:
    """A length as protobuf writes it: seven bits a byte, the lowest first."""
    coded = bytearray()
    while number > 0x7F:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    coded.append(number)
    return bytes(coded)
