"""Long lists of numbers in JSON: taken out of a large document before it is read, and read in pieces themselves.

A reader of JSON holds up everybody else until it has read a document to its end, and four megabytes of `1,1,1,…` are
two million numbers. Of a list that was taken out nothing has been read: that it is JSON is seen when its pieces are.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

PIECE = 1 << 14
"""Characters of numbers that are read at once: as Python objects they take many times that."""
LOOK = 1 << 18
"""characters that are looked through at once"""
Pause = Callable[[], object]
"""Is called between two pieces: whoever reads beside others lets them go on."""
_KEY = b'"data"'
_COLON = re.compile(rb"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}(?=\[)")
_PLACE = re.compile(rb'\{"taken out":(\d{1,9})\}')
_SPACE = b" \t\r\n"
_READER = msgspec.json.Decoder(msgspec.Raw)


def no_pause() -> None:
    """Read on."""


class Span(NamedTuple):
    """A list within a text; whether it is `known` to be JSON."""

    text: bytes | bytearray
    begin: int
    end: int
    known: bool = False


class Document(NamedTuple):
    """A document without its long lists, and these in their order. In the text an object stands for each."""

    text: bytes | bytearray
    lists: list[Span]

    def list_of(self, data: msgspec.Raw) -> Span | None:
        """The list that some data stands for, None where it stands for itself."""
        place = _PLACE.fullmatch(data) if self.lists else None
        number = int(place[1]) if place else len(self.lists)
        return self.lists[number] if number < len(self.lists) else None


def without_lists(text: bytes | bytearray, pause: Pause = no_pause) -> Document:
    """A document whose members `data` are taken out where they are long and there is no string in them.

    `"data"` in JSON is a name, or the end of a longer one (`"x\\"data"`) whose value nobody reads.
    """
    kept: list[bytes | bytearray] = []
    lists: list[Span] = []
    at = 0
    while (found := _next_key(text, at, pause)) >= 0:
        colon = _COLON.match(text, found + len(_KEY))
        begin = end = colon.end() if colon else found + len(_KEY)
        if colon and (behind := _behind(text, begin)) - begin > PIECE:
            end = behind
            lists.append(Span(text, begin, end))
        kept += (text[at:begin], b'{"taken out":%d}' % (len(lists) - 1) if end > begin else b"")
        at = end
    return Document(b"".join((*kept, text[at:])) if lists else text, lists)


def _next_key(text: bytes | bytearray, at: int, pause: Pause) -> int:
    """Where the next `"data"` is, -1 where there is none."""
    for start in range(at, len(text), LOOK):
        found = text.find(_KEY, start, start + LOOK + len(_KEY))
        if found >= 0:
            return found
        pause()
    return -1


def _behind(text: bytes | bytearray, begin: int) -> int:
    """The place behind the last bracket before the next string or object."""
    end = len(text)
    for sign in (b'"', b"}", b"{"):  # each looks no further than the one before
        place = text.find(sign, begin, end)
        end = end if place < 0 else place
    return text.rfind(b"]", begin, end) + 1


def pieces(span: Span) -> Iterator[bytes]:
    """A list's elements without brackets and spaces, some at a time: `1,2,3`.

    Raises:
        TypeError: one element is longer than a piece, or the brackets do not match.
        msgspec.MsgspecError, RecursionError: it is not JSON.
    """
    text, start, depth = span.text, span.begin, 0
    while start < span.end:
        end = span.end
        if end - start > PIECE and (end := text.rfind(b",", start, start + PIECE)) < 0:
            raise TypeError("a value is too long")
        piece = bytes(text[start:end])
        if not span.known:
            depth = _depth_behind(piece, depth)
            if (depth == 0) != (end == span.end):
                raise TypeError("its brackets do not match")
        yield piece.translate(None, b"[] \t\r\n")
        start = end + 1


def _depth_behind(piece: bytes, depth: int) -> int:
    """How many lists are open behind a piece of one that was cut at commas. Raises where it is no such piece."""
    behind = depth + piece.count(b"[") - piece.count(b"]")
    words = piece.strip(_SPACE)
    if not words or words[0] == b"]"[0] or words[-1] == b"["[0] or behind < 0:
        raise TypeError("its brackets do not match")
    _READER.decode(b"".join((b"[" * depth, piece, b"]" * behind)))
    return behind
