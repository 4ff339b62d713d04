"""Whether a golden vector (`.npz`) may be read: an archive as numpy writes it, its arrays as large as it says.

The archive is APPNOTE.TXT's plain form (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT): one central
directory at the end, nothing in front, no comments, no zip64. An array's header is numpy's (NEP 1); that it gives the
size which the directory gives is what makes an unpacked size true before anything is unpacked.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed
from protos.admission.shapes import elements

Buffer = memoryview

END, ENTRY, LOCAL = 0x06054B50, 0x02014B50, 0x04034B50
END_FORMAT, ENTRY_FORMAT, LOCAL_FORMAT = "<IHHHHIIH", "<IHHHHHHIIIHHHHHII", "<IHHHHHIIIHH"
END_SIZE, ENTRY_SIZE, LOCAL_SIZE = (struct.calcsize(layout) for layout in (END_FORMAT, ENTRY_FORMAT, LOCAL_FORMAT))
STORED, DEFLATED = 0, 8
HEADER_BYTES = 1024
"""Of an array's header that is unpacked: numpy writes 128 bytes."""

MEMBER = re.compile(r"(input|output)\.\d{1,4}\.npy")
HEADER = re.compile(
    rb"\x93NUMPY(?:\x01\x00..|\x02\x00....)\{'descr': '[<>|=]([biufc])(\d{1,2})', 'fortran_order': (?:False|True), "
    rb"'shape': \(((?:-?\d{1,18}, ?)*(?:-?\d{1,18})?)\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True)
class Member:
    """One array: its name, how it is packed, and its sizes in bytes."""

    name: str
    method: int
    packed: int
    size: int
    offset: int


def check_npz(content: Buffer, limits: Limits = LIMITS) -> None:
    """Return if the file is within the limits.

    Raises:
        Malformed: no golden vector as `edgectl model init --golden` writes it.
        Inadmissible: beyond a limit.
    """
    left = limits.vector_bytes
    for member in _members(content, limits):
        left -= member.size
        if left < 0:
            raise Inadmissible(f"more than {limits.vector_bytes} bytes once unpacked")
        _check_array(member, _start(content, member), limits)


def _members(content: Buffer, limits: Limits) -> Iterator[Member]:
    """The entries of the directory."""
    at = len(content) - END_SIZE
    signature, _, _, _, count, size, offset, comment = _fields(END_FORMAT, content, at)
    if signature != END or comment or offset + size != at:
        raise Malformed("no archive of arrays")
    if count > limits.vector_arrays:
        raise Inadmissible(f"{count} arrays; at most {limits.vector_arrays} are taken")
    for _ in range(count):
        found = _fields(ENTRY_FORMAT, content, offset)
        name = _name(content, offset + ENTRY_SIZE, found[10])
        if found[0] != ENTRY or found[11] or found[12]:
            raise Malformed("a directory with more than arrays")
        yield Member(name, found[4], found[8], found[9], found[16])
        offset += ENTRY_SIZE + found[10]
    if offset != at:
        raise Malformed("a directory that does not end where it says")


def _name(content: Buffer, at: int, length: int) -> str:
    name = bytes(content[at : at + min(length, 64)]).decode("latin-1")
    if MEMBER.fullmatch(name) is None:
        raise Malformed(f"a member {name!r}, no input or output")
    return name


def _start(content: Buffer, member: Member) -> bytes:
    """The first bytes of an array, unpacked."""
    found = _fields(LOCAL_FORMAT, content, member.offset)
    begin = member.offset + LOCAL_SIZE + found[9] + found[10]
    if found[0] != LOCAL or begin + member.packed > len(content):
        raise Malformed(f"{member.name} is outside the archive")
    packed = content[begin : begin + min(member.packed, HEADER_BYTES)]
    if member.method == STORED:
        return bytes(packed)
    if member.method != DEFLATED:
        raise Malformed(f"{member.name} is packed by method {member.method}")
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, HEADER_BYTES)
    except zlib.error:
        raise Malformed(f"{member.name} cannot be unpacked") from None


def _check_array(member: Member, start: bytes, limits: Limits) -> None:
    """The array is of numbers, and as large as the directory says."""
    found = HEADER.match(start)
    if found is None:
        raise Malformed(f"{member.name} is no array of numbers as numpy writes it")
    width, axes = int(found[2]), [int(axis) for axis in found[3].split(b",") if axis.strip()]
    count = elements(axes, limits, member.name)
    if found.end() + count * width != member.size:
        raise Malformed(f"{member.name} says {count} values and has {member.size} bytes")


def _fields(layout: str, content: Buffer, at: int) -> tuple[int, ...]:
    if at < 0 or at + struct.calcsize(layout) > len(content):
        raise Malformed("no archive of arrays, or it is cut off")
    return struct.unpack_from(layout, content, at)
