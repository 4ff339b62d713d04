"""How an ask or an answer lies in a slot: sizes, places, packing, and the checks of what came back. Pure.

A slot begins with a 4-byte length (`=I`) and that much MessagePack, the *head*; tensors begin at `Cut.head_bytes`,
each aligned. An answer's tensors lie behind the ask's, so that an ask is still whole where its answer never came.
Whose turn it is to write is not decided here: see `messages`.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod

import msgspec

from edge_node.lane.messages import Answer, Ask, Hello, Port, Tensor
from protos.inference.datatypes import SIZES, byte_count
from protos.inference.elements import separate

ALIGNMENT = 64
"""bytes: what vector instructions and engines like"""
PAGE = 65_536
"""bytes: slots begin at pages, the largest that there are, so that the memory of one can be given back"""
HEAD_RESERVE = 2048
"""bytes of a head beside what its tensors take: a sequence's id, a reason"""
REASON_CHARACTERS = 400
"""of an answer: a line, which fits the reserve in any script"""
_TENSOR_RESERVE = 64

_LENGTH = struct.Struct("=I")
_encoder = msgspec.msgpack.Encoder()
_asks: msgspec.msgpack.Decoder[Ask] = msgspec.msgpack.Decoder(Ask)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


class DoesNotFit(ValueError):
    """More than a slot holds."""


class WrongAnswer(ValueError):
    """An answer that no honest worker gives: it is not believed, and its lane is not used any more."""


class Cut(msgspec.Struct, frozen=True):
    """How a lane's memory is cut: both sides reckon with the same numbers. Tensors begin at `head_bytes`."""

    head_bytes: int
    slot_bytes: int


def cut_for(hello: Hello, open_bytes: int) -> Cut:
    """The cut of a lane's slots: what the ports take, exactly, times the largest batch.

    Args:
        hello: a checked one.
        open_bytes: what all inputs with open axes or BYTES may take together, and again all such outputs.
    """
    head = head_bytes(hello)
    size = head + _ports_bytes(hello.inputs, hello.max_batch, open_bytes)
    size += _ports_bytes(hello.outputs, hello.max_batch, open_bytes)
    return Cut(head, -(-size // PAGE) * PAGE)


def head_bytes(hello: Hello) -> int:
    """What the longest head takes, before the first tensor."""
    ports = (*hello.inputs, *hello.outputs)
    named = sum(2 * len(port.name.encode()) + 9 * len(port.shape) + _TENSOR_RESERVE for port in ports)
    return aligned(_LENGTH.size + HEAD_RESERVE + named)


def static_bytes(port: Port, max_batch: int) -> int | None:
    """The most that a tensor takes; None where only an ask says it. `max_batch` as of `Hello`."""
    batched = bool(max_batch and port.shape and port.shape[0] < 0)
    shape = (max_batch, *port.shape[1:]) if batched else port.shape
    return None if any(axis < 0 for axis in shape) else byte_count(port.datatype, shape)


def aligned(offset: int) -> int:
    """The next place where a tensor may begin."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def places(sizes: Iterable[int], start: int, end: int) -> list[int]:
    """Where tensors of these sizes lie, one after the other.

    Raises:
        DoesNotFit: they reach beyond `end`.
    """
    offsets = []
    for size in sizes:
        start = -(-start // ALIGNMENT) * ALIGNMENT
        offsets.append(start)
        start += size
    if start > end:
        raise DoesNotFit(f"tensors of {start} bytes do not fit into a slot of {end}")
    return offsets


def end_of(tensors: Sequence[Tensor], start: int) -> int:
    """The end of the last of some tensors, at least `start`."""
    return max((tensor.offset + tensor.size for tensor in tensors), default=start)


def write(slot: memoryview, head_bytes: int, message: Ask | Answer) -> None:
    """Write a head.

    Raises:
        DoesNotFit: it is longer than its place.
    """
    body = _encoder.encode(message)
    end = _LENGTH.size + len(body)
    if end > head_bytes:
        raise DoesNotFit(f"a head of {len(body)} bytes does not fit into {head_bytes}")
    slot[:end] = _LENGTH.pack(len(body)) + body


def read_ask(slot: memoryview) -> Ask:
    """The ask in a slot, believed: it is the serving process's.

    Raises:
        msgspec.DecodeError: there is none.
    """
    (size,) = _LENGTH.unpack_from(slot)
    return _asks.decode(slot[_LENGTH.size : _LENGTH.size + size])


def read_answer(slot: memoryview, cut: Cut, ports: Mapping[str, Port], wanted: Sequence[str]) -> Answer:
    """The answer in a slot, not believed.

    Args:
        slot: the slot.
        cut: of its lane.
        ports: the model's outputs by name.
        wanted: the ask's outputs.

    Raises:
        WrongAnswer: it is none, or speaks of tensors that are not wanted, not the port's, or not in the slot.
    """
    (size,) = _LENGTH.unpack_from(slot)
    if size > cut.head_bytes - _LENGTH.size:
        raise WrongAnswer(f"an answer's head of {size} bytes")
    try:
        answer = _answers.decode(bytes(slot[_LENGTH.size : _LENGTH.size + size]))
    except msgspec.DecodeError as error:
        raise WrongAnswer(f"an answer that cannot be read: {error}") from None
    if answer.failure:
        return answer
    names = [tensor.name for tensor in answer.tensors]
    if len(names) != len(set(names)) or set(names) != set(wanted or ports):
        raise WrongAnswer(f"an answer with {', '.join(names) or 'nothing'} for {', '.join(wanted or ports)}")
    for tensor in answer.tensors:
        _check(tensor, ports[tensor.name], slot, cut)
    return answer


def _check(tensor: Tensor, port: Port, slot: memoryview, cut: Cut) -> None:
    if tensor.datatype != port.datatype or len(tensor.shape) != len(port.shape) or min(tensor.shape, default=0) < 0:
        raise WrongAnswer(f"{tensor.name!r} as {tensor.datatype} {list(tensor.shape)}")
    if tensor.offset < cut.head_bytes or tensor.size < 0 or tensor.offset + tensor.size > cut.slot_bytes:
        raise WrongAnswer(f"{tensor.name!r} at {tensor.offset}, {tensor.size} bytes, beside its slot")
    if tensor.datatype in SIZES:
        holds = tensor.size == byte_count(tensor.datatype, tensor.shape)
    else:
        holds = elements(slot[tensor.offset : tensor.offset + tensor.size]) == prod(tensor.shape)
    if not holds:
        raise WrongAnswer(f"{tensor.name!r} of {list(tensor.shape)} in {tensor.size} bytes")


def elements(content: memoryview) -> int | None:
    """How many elements a BYTES tensor's content has; None where a length reaches beyond it."""
    try:
        return sum(1 for _ in separate(content))
    except ValueError:
        return None


def _ports_bytes(ports: Sequence[Port], max_batch: int, open_bytes: int) -> int:
    sizes = [static_bytes(port, max_batch) for port in ports]
    known = sum(aligned(size) for size in sizes if size is not None)
    return known + (aligned(open_bytes) if None in sizes else 0)
