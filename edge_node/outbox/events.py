"""Turns what a pipeline saw into the bytes that leave: a CloudEvent of `protos.result`.

The bytes are made once, when the result gets its number; the store on disk, the live topic and the collector see the
same bytes. Only `late` may differ, and only on the durable way. What may leave is what `protos.result` names: there
is no field for a frame.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from edge_node.pipeline.observation import Observation
from protos.digest import Digest
from protos.egress_fields import MOST_OUTPUTS
from protos.identity import NodeId, StreamId
from protos.result import Data, Dropped, Event, Tombstone, event_id, event_type, schema_urn

IN_TIME = b'"late":false'
LATE = b'"late":true'

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _NumberedData(msgspec.Struct):
    node: str
    stream: str
    seq: int


class _Numbered(msgspec.Struct):
    data: _NumberedData


_encode = msgspec.json.Encoder().encode
_numbered = msgspec.json.Decoder(_Numbered)


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """What is true of every result of a pipeline until something is deployed or renamed.

    `topic` is the pipeline's live topic; `priority` decides what `drop_lowest_priority` drops first (lower goes first).
    """

    node: NodeId
    site: str
    name: str
    model: str
    version: int
    digest: Digest
    engine: str
    accelerator: str
    topic: str
    clock: Literal["synced", "unsynced"] = "synced"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A result that has no number yet."""

    observation: Observation
    context: PipelineContext


def encode_result(draft: Draft, stream: StreamId, seq: int) -> bytes:
    """The event's JSON, with `late` false. Of more outputs than may leave the first go, which are the best."""
    seen, context = draft.observation, draft.context
    captured_at = rfc3339(seen.captured_ns)
    data: Data[object] = Data(
        node=context.node,
        site=context.site,
        name=context.name,
        pipeline=seen.pipeline,
        stream=stream,
        seq=seq,
        model=context.model,
        version=context.version,
        digest=context.digest,
        engine=context.engine,
        accelerator=context.accelerator,
        captured_at=captured_at,
        clock=context.clock,
        late=False,
        latency_ms=seen.latency_ms,
        outputs=tuple(seen.outputs[:MOST_OUTPUTS]),
        stream_time_s=seen.stream_time_s,
        frame=seen.frame,
    )
    return _encode(
        Event(
            type=event_type(seen.task),
            id=event_id(stream, seq),
            source=context.topic,
            time=captured_at,
            dataschema=schema_urn(seen.task),
            data=data,
        )
    )


def encode_tombstone(dropped: Dropped, source: str, wall_ns: int) -> bytes:
    """The event that stands in a stream for results that were dropped; `source` is the node's durable topic."""
    tombstone = Tombstone(id=event_id(dropped.stream, dropped.seq), source=source, time=rfc3339(wall_ns), data=dropped)
    return _encode(tombstone)


def marked_late(event: bytes) -> bytes:
    """The event with `late` true. A label cannot be taken for the key: inside a JSON string quotes are escaped."""
    return event.replace(IN_TIME, LATE, 1)


def readdressed(event: bytes, former: Collection[NodeId], node: NodeId) -> bytes:
    """The event as of this node where it was made under an id that the same device had before."""
    for old in former:
        event = event.replace(b'"node":"%b"' % old.encode(), b'"node":"%b"' % node.encode(), 1)
    return event


def is_readable(event: bytes, node: NodeId, stream: StreamId, seq: int) -> bool:
    """Whether bytes from the disk are still JSON, and name the node, stream and number that a collector asks for."""
    try:
        msgspec.json.decode(event)  # all of it: the decoder below looks at nothing but its fields
        data = _numbered.decode(event).data
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return (data.node, data.stream, data.seq) == (node, stream, seq)


def rfc3339(wall_ns: int) -> str:
    """The UTC time of nanoseconds since 1970, with milliseconds; a clock beyond the years 1 to 9999 reads as 1970."""
    try:
        at = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    except OverflowError:
        at = _EPOCH
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
