"""The elements of a BYTES tensor as raw bytes: each with its 4-byte little-endian length before it.

Source: Open Inference Protocol v2, "Tensor Data Types", and Triton's binary tensor data extension.
"""

import struct
from collections.abc import Iterable, Iterator
from itertools import chain

_LENGTH = struct.Struct("<I")


def joined(elements: Iterable[bytes]) -> bytes:
    """The content of a tensor of these elements."""
    return b"".join(chain.from_iterable((_LENGTH.pack(len(element)), element) for element in elements))


def separate(content: memoryview) -> Iterator[memoryview]:
    """The elements of a tensor's content, as views into it.

    Raises:
        ValueError: a length is cut off or leads beyond the content; what came before it was yielded.
    """
    place = 0
    while place < len(content):
        begin = place + _LENGTH.size
        if begin > len(content) or (place := begin + _LENGTH.unpack_from(content, place)[0]) > len(content):
            raise ValueError("an element of a BYTES tensor reaches beyond its end")
        yield content[begin:place]
