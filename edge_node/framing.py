"""Messages on a socket between a process and its child: a 4-byte big-endian length, then MessagePack.

What the messages are is not decided here: see `worker.messages` and `serving.control`.
"""

import struct
from collections.abc import Awaitable, Callable

import msgspec

LENGTH = struct.Struct(">I")

_encoder = msgspec.msgpack.Encoder()


def pack(message: msgspec.Struct) -> bytes:
    """A message with its length before it."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


async def next_body(read: Callable[[int], Awaitable[bytes]]) -> bytes | None:
    """The next message's body; None at the end of the stream, also where it ends within a message.

    Args:
        read: as `asyncio.StreamReader.readexactly`; asyncio itself is not imported here, nor in workers.
    """
    try:
        (size,) = LENGTH.unpack(await read(LENGTH.size))
        return await read(size)
    except (EOFError, OSError):
        return None
