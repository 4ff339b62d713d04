"""Flatbuffers, read in place with every offset checked (https://flatbuffers.dev/internals/): no schema, no copies."""

import struct
from collections.abc import Iterator

from protos.admission.limits import Inadmissible, Malformed, Work

Buffer = memoryview


class Table:
    """A table: fields by number, as the schema counts them."""

    __slots__ = ("_at", "_content", "_size", "_vtable", "_work")

    def __init__(self, content: Buffer, at: int, work: Work) -> None:
        """Check that the table and its vtable are inside the file.

        Raises:
            Malformed: they are not.
        """
        work.spend()
        self._content, self._at, self._work = content, at, work
        self._vtable = at - _number(content, at, "<i")
        self._size = _number(content, self._vtable, "<H")
        inline = _number(content, self._vtable + 2, "<H")
        if self._size < 4 or self._vtable + self._size > len(content) or at + inline > len(content):
            raise Malformed("a table behind the end of the file")

    def integer(self, field: int, layout: str = "<i", default: int = 0) -> int:
        """A number, in the letters of `struct`."""
        at = self._place(field)
        return default if at is None else _number(self._content, at, layout)

    def table(self, field: int) -> "Table | None":
        """A table."""
        at = self._target(field)
        return None if at is None else Table(self._content, at, self._work)

    def vector(self, field: int, width: int) -> Buffer:
        """The bytes of a vector whose entries have so many bytes each; empty where there is none.

        Raises:
            Malformed: it ends behind the end of the file.
        """
        at = self._target(field)
        if at is None:
            return self._content[:0]
        length = _number(self._content, at, "<I") * width
        if length > len(self._content) - at - 4:
            raise Malformed("a vector behind the end of the file")
        return self._content[at + 4 : at + 4 + length]

    def count(self, field: int) -> int:
        """How many tables a vector of tables has."""
        return len(self.vector(field, 4)) // 4

    def tables(self, field: int) -> Iterator["Table"]:
        """The tables of a vector."""
        start = self._target(field)
        for place in range(self.count(field) if start is not None else 0):
            entry = (start or 0) + 4 + 4 * place
            yield Table(self._content, entry + _number(self._content, entry, "<I"), self._work)

    def integers(self, field: int, most: int, what: str) -> tuple[int, ...]:
        """A short vector of int32.

        Raises:
            Inadmissible: it has more entries than the most.
        """
        content = self.vector(field, 4)
        count = len(content) // 4
        if count > most:
            raise Inadmissible(f"{what} of {count} entries; at most {most} are taken")
        self._work.spend(count)
        return struct.unpack(f"<{count}i", content)

    def text(self, field: int) -> str:
        """A string.

        Raises:
            Malformed: not UTF-8.
            Inadmissible: longer than a name may be.
        """
        content, most = self.vector(field, 1), self._work.limits.name_bytes
        if len(content) > most:
            raise Inadmissible(f"a name of {len(content)} bytes; at most {most} are taken")
        try:
            return bytes(content).decode()
        except UnicodeDecodeError:
            raise Malformed("a name that is not UTF-8") from None

    def _place(self, field: int) -> int | None:
        """Where a field stands, None where it has its default."""
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return None
        distance = _number(self._content, self._vtable + entry, "<H")
        return self._at + distance if distance else None

    def _target(self, field: int) -> int | None:
        """Where that stands to which a field points."""
        at = self._place(field)
        return None if at is None else at + _number(self._content, at, "<I")


def root(content: Buffer, identifier: bytes, work: Work) -> Table:
    """The root table of a file.

    Raises:
        Malformed: the file has another identifier, or the table is outside.
    """
    if bytes(content[4:8]) != identifier:
        raise Malformed("no such identifier")
    return Table(content, _number(content, 0, "<I"), work)


def _number(content: Buffer, at: int, layout: str) -> int:
    if at < 0 or at + struct.calcsize(layout) > len(content):
        raise Malformed("an offset behind the end of the file")
    return int(struct.unpack_from(layout, content, at)[0])
