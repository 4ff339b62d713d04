"""The messages of the worker's socket as bytes: a 4-byte big-endian length, then MessagePack."""

import struct
from collections.abc import Callable

import msgspec

from edge_node.worker.messages import Reply, Request

LENGTH = struct.Struct(">I")

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def pack(message: Request | Reply) -> bytes:
    """A message with its length before it."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


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
