"""Takes a serialized ModelInferRequest apart without copying its tensors: pure.

The tensors (`raw_input_contents`, field 7) stay where they are in the message, as views. The id (field 3) differs from
request to request; what is left, the head, is the same again and again for one client, so it is worth remembering
(`head.py`). Only the outermost fields are read here; whether the head is a request is protobuf's to say.
Source: protobuf's encoding (https://protobuf.dev/programming-guides/encoding/).
"""

from typing import NamedTuple

ID = 3
RAW = 7
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MOST_SHIFT = 63
_TAG_LIMIT = 1 << 32
_MORE = 0x80
"""A byte of a number that is not its last."""
_SHORT = _MORE | 7
"""What is left of a tag of one byte: its wire type."""


class Malformed(Exception):
    """The bytes are no protobuf message."""


class Apart(NamedTuple):
    """A request in pieces: all but id and tensors, the id, the tensors."""

    head: bytes
    id: str
    raw: list[memoryview]


def take_apart(message: bytes) -> Apart:
    """The pieces of a serialized ModelInferRequest. Of several ids the last one counts, as in protobuf.

    Raises:
        Malformed: a field is cut off, the id is not UTF-8, or there is a group, which proto3 does not have.
    """
    view = memoryview(message)
    raw: list[memoryview] = []
    head: list[memoryview] = []
    named: memoryview | bytes = b""
    position, kept, end = 0, 0, len(message)
    while position < end:
        start = position
        number, begin, position = _field(message, start, end)
        if number == RAW:
            raw.append(view[begin:position])
        elif number == ID:
            named = view[begin:position]
        else:
            continue
        if kept < start:
            head.append(view[kept:start])
        kept = position
    if kept < end:
        head.append(view[kept:])
    return Apart(b"".join(head), _text(named), raw)


def _field(message: bytes, position: int, end: int) -> tuple[int, int, int]:
    """A field: its number if it has a length, else 0; where its content begins, and where it ends."""
    if position + 1 < end and message[position] & _SHORT == _LENGTH and message[position + 1] < _MORE:
        number, begin, size = message[position] >> 3, position + 2, message[position + 1]
    else:
        tag, begin = _varint(message, position, end)
        wire, number = tag & 7, tag >> 3
        if tag >= _TAG_LIMIT:
            raise Malformed("a field has no number")
        if wire != _LENGTH:
            return 0, begin, _past(message, wire, begin, end)
        size, begin = _varint(message, begin, end)
    if begin + size > end:
        raise Malformed("a field is longer than the message")
    return number, begin, begin + size


def _past(message: bytes, wire: int, position: int, end: int) -> int:
    """The end of a field without a length."""
    if wire == _VARINT:
        return _varint(message, position, end)[1]
    if wire not in (_FIXED64, _FIXED32):
        raise Malformed("a field is of a kind that proto3 does not have")
    position += 8 if wire == _FIXED64 else 4
    if position > end:
        raise Malformed("a field is longer than the message")
    return position


def _varint(message: bytes, position: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while position < end:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, position
        shift += 7
        if shift > _MOST_SHIFT:
            break
    raise Malformed("a number has no end")


def _text(content: memoryview | bytes) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError:
        raise Malformed("the id is not UTF-8") from None
