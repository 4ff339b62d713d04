"""The protobuf wire format, read in place (https://protobuf.dev/programming-guides/encoding): no schema, no copies.

    for number, value in fields(content, work): ...
    message = Message(content, work); message.one(8)

What a reader could understand in two ways, a field twice that stands once, is refused: the engine's reader might
choose the other.
"""

from collections.abc import Iterator

from protos.admission.limits import Inadmissible, Malformed, Work

Buffer = memoryview
Value = int | Buffer

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED = {FIXED32: 4, FIXED64: 8}
HIGHEST = 64
"""Fields of higher numbers than ONNX has are read over, not kept."""


def fields(content: Buffer, work: Work) -> Iterator[tuple[int, Value]]:
    """The fields of a message: the number, and an integer or the bytes.

    Raises:
        Malformed: not a protobuf, or cut off.
        Inadmissible: more fields than may be looked at.
    """
    at, end = 0, len(content)
    while at < end:
        work.spend()
        key, at = varint(content, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise Malformed("a field of number 0")
        if wire == VARINT:
            value, at = varint(content, at)
            yield number, value
            continue
        length, at = varint(content, at) if wire == BYTES else (FIXED.get(wire, end), at)
        if length > end - at:
            raise Malformed("cut off")
        yield number, content[at : at + length]
        at += length


def varint(content: Buffer, at: int) -> tuple[int, int]:
    """An unsigned integer and where it ends.

    Raises:
        Malformed: it does not end, or has more than 64 bits.
    """
    if at < len(content) and content[at] < 0x80:  # most of them, and most of the time goes here
        return content[at], at + 1
    value = shift = 0
    for place in range(at, min(at + 10, len(content))):
        byte = content[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    else:
        raise Malformed("a number that does not end")
    if value >> 64:
        raise Malformed("a number of more than 64 bits")
    return value, place + 1


def signed(value: int) -> int:
    """A protobuf int32 or int64 as it was meant: negative numbers are written as 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def integers(value: Value) -> Iterator[int]:
    """The integers of a repeated field, one by itself or packed."""
    if isinstance(value, int):
        yield signed(value)
        return
    at = 0
    while at < len(value):
        number, at = varint(value, at)
        yield signed(number)


def text_of(value: Value, work: Work) -> str:
    """A string.

    Raises:
        Malformed: not UTF-8.
        Inadmissible: longer than a name may be.
    """
    if isinstance(value, int):
        raise Malformed("a number in place of a text")
    if len(value) > work.limits.name_bytes:
        raise Inadmissible(f"a name of {len(value)} bytes; at most {work.limits.name_bytes} are taken")
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise Malformed("a name that is not UTF-8") from None


class Message:
    """The fields of a small message by number; of a repeated field only as many as an operator has attributes."""

    def __init__(self, content: Value, work: Work) -> None:
        """Read it.

        Raises:
            Malformed, Inadmissible: see `fields`.
        """
        if isinstance(content, int):
            raise Malformed("a number in place of a message")
        self._work = work
        self._fields: dict[int, list[Value]] = {}
        self._cut: set[int] = set()
        for number, value in fields(content, work):
            if number > HIGHEST:
                continue
            kept = self._fields.setdefault(number, [])
            if len(kept) < work.limits.attributes:
                kept.append(value)
            else:
                self._cut.add(number)

    def one(self, number: int) -> Value | None:
        """A field that may stand once.

        Raises:
            Malformed: it stands twice.
        """
        found = self._fields.get(number, [])
        if len(found) > 1:
            raise Malformed(f"field {number} twice where it stands once")
        return found[0] if found else None

    def integer(self, number: int, default: int = 0) -> int:
        """A signed integer that may stand once."""
        found = self.one(number)
        return signed(found) if isinstance(found, int) else default

    def text(self, number: int) -> str:
        """A string that may stand once; empty where it does not."""
        found = self.one(number)
        return "" if found is None else text_of(found, self._work)

    def texts(self, number: int) -> list[str]:
        """The first strings of a repeated field."""
        return [text_of(value, self._work) for value in self.first(number)]

    def first(self, number: int) -> list[Value]:
        """The first of a repeated field."""
        return self._fields.get(number, [])

    def all(self, number: int) -> list[Value]:
        """Every one of a repeated field.

        Raises:
            Inadmissible: more than are kept.
        """
        if number in self._cut:
            raise Inadmissible(f"more than {self._work.limits.attributes} of field {number} in one message")
        return self.first(number)
