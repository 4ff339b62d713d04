"""Messages as a node sends them, for tests of the collector."""

from functools import cache

from edge_node.outbox.events import encode_result, encode_tombstone
from protos.identity import NodeId, StreamId
from protos.result import Dropped
from tests.durable.node import NODE, draft

STREAM = StreamId("5" * 32)


@cache
def result(seq: int, label: str = "", stream: StreamId = STREAM) -> bytes:
    """A result with a label of its own; the same bytes each time."""
    return encode_result(draft(label or f"r-{seq}"), stream, seq)


def tombstone(first: int, last: int, reason: str = "outbox_full", node: NodeId = NODE) -> bytes:
    """A hole."""
    dropped = Dropped(node=node, stream=STREAM, first=first, seq=last, count=last - first + 1, reason=reason)
    return encode_tombstone(dropped, "edge/v1/nodes/x/durable", 0)


def message(*events: bytes) -> bytes:
    """The payload of the durable topic."""
    return b"[" + b",".join(events) + b"]"
