"""The messages of the worker's socket as bytes: a length, then MessagePack; see `edge_node.framing`."""

from collections.abc import Callable

import msgspec

from edge_node.framing import LENGTH, pack
from edge_node.worker.messages import Reply, Request

__all__ = ["LENGTH", "pack", "read_request", "reply_in"]

_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def read_request(read: Callable[[int], bytes]) -> Request | None:
    """The next request; None at the end of the stream.

    Args:
        read: as a buffered file's: as many bytes as asked for, fewer only at the end.
    """
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = read(size)
    return _requests.decode(body) if len(body) == size else None


def reply_in(body: bytes) -> Reply:
    """The reply in a message's body."""
    return _replies.decode(body)
