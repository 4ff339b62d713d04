"""What arrives on a node's durable topic, read no further than is needed to store it.

A message is a JSON array of CloudEvents, packed or plain. Of each event only the columns are decoded; its bytes are
kept as they came.

What is not a result of the contract must neither be stored as one nor block its stream for ever:

- An element with a readable stream and number that is no valid result or tombstone is REJECTED: its number is taken,
  a hole with the reason `rejected` is stored for it, and the stream goes on.
- A message in which not even that can be read belongs to no stream: `Unreadable`. It is counted, recorded as an alarm
  and not acknowledged.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

import msgspec

from protos.errors import ContractError
from protos.identity import NodeId, StreamId, is_id, is_name
from protos.packing import unpacked
from protos.result import TOMBSTONE

SEQ_BITS = 40
"""A row's id is the stream's number and 40 bits of sequence: at 1,000 results a second, 34 years of one stream."""
MAX_SEQ = 2**SEQ_BITS - 1
MAX_EVENTS = 10_000
"""In one message; 100 KB cannot hold more."""
REJECTED = "rejected"
LONGEST_REASON = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Seq = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]


class Unreadable(ValueError):
    """A message that no stream can be made answerable for."""


class Kind(StrEnum):
    """What an element is."""

    RESULT = "result"
    HOLE = "hole"


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One element of a message: a result, or a hole (a tombstone, or what was rejected) from `first` to `seq`.

    `time_us` is the event's time in microseconds since 1970; `event` its JSON, exactly as it came; `late` says that it
    is not news any more.
    """

    kind: Kind
    node: NodeId
    stream: StreamId
    first: int
    seq: int
    event: bytes
    time_us: int = 0
    site: str = ""
    name: str = ""
    pipeline: str = ""
    model: str = ""
    version: int = 0
    reason: str = ""
    late: bool = False


class _ResultData(msgspec.Struct, gc=False):
    node: str
    stream: str
    seq: Seq
    site: str
    name: str
    pipeline: str
    model: str
    version: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    late: bool = False


class _Result(msgspec.Struct, gc=False):
    type: str
    id: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    data: _ResultData


class _HoleData(msgspec.Struct, gc=False):
    node: str
    stream: str
    first: Seq
    seq: Seq
    reason: Annotated[str, msgspec.Meta(max_length=LONGEST_REASON)]


class _Hole(msgspec.Struct, gc=False):
    type: str
    data: _HoleData


class _NumberedData(msgspec.Struct, gc=False):
    node: str
    stream: str
    seq: Seq


class _Numbered(msgspec.Struct, gc=False):
    data: _NumberedData


_elements = msgspec.json.Decoder(Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_EVENTS)])
_result = msgspec.json.Decoder(_Result)
_hole = msgspec.json.Decoder(_Hole)
_numbered = msgspec.json.Decoder(_Numbered)
_ids = lru_cache(maxsize=4096)(is_id)
_names = lru_cache(maxsize=4096)(is_name)


def read_message(payload: bytes, node: NodeId, *, late: bool = False) -> list[Arrival]:
    """The elements of a message on this node's topic, in order; all of them late where the message is.

    Raises:
        Unreadable: not an array, an element without a stream and number, or one that speaks for another node.
    """
    try:
        elements = _elements.decode(unpacked(payload))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ContractError) as error:
        raise Unreadable(f"not an array of events: {error}") from None
    return [_arrival(bytes(element), node, late) for element in elements]


def _arrival(event: bytes, node: NodeId, late: bool) -> Arrival:
    try:
        read = _result.decode(event)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _hole_or_rejected(event, node)
    data = read.data
    named = _names(data.site) and _names(data.name) and _names(data.pipeline) and _names(data.model)
    if data.node != node or not named or read.type == TOMBSTONE or read.id != f"{data.stream}/{data.seq}":
        return _hole_or_rejected(event, node)
    return Arrival(
        Kind.RESULT,
        node,
        _stream(data.stream),
        data.seq,
        data.seq,
        event,
        (read.time - _EPOCH) // _MICROSECOND,
        data.site,
        data.name,
        data.pipeline,
        data.model,
        data.version,
        late=late or data.late,
    )


def _hole_or_rejected(event: bytes, node: NodeId) -> Arrival:
    try:
        read = _hole.decode(event)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _rejected(event, node)
    data = read.data
    if read.type != TOMBSTONE or data.node != node or data.first > data.seq or not data.reason.isprintable():
        return _rejected(event, node)
    return Arrival(Kind.HOLE, node, _stream(data.stream), data.first, data.seq, event, reason=data.reason)


def _rejected(event: bytes, node: NodeId) -> Arrival:
    try:
        data = _numbered.decode(event).data
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unreadable(f"an element without a stream and number: {error}") from None
    if data.node != node:
        raise Unreadable(f"an element that speaks for node {data.node[:32]!r}")
    return Arrival(Kind.HOLE, node, _stream(data.stream), data.seq, data.seq, event, reason=REJECTED)


def _stream(text: str) -> StreamId:
    if not _ids(text):
        raise Unreadable(f"{text[:40]!r} is not the id of a stream")
    return StreamId(text)
