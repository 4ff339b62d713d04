"""The bytes of a request: how many are taken, and what they are when they came compressed.

A body is never read beyond its cap, whether its length was announced or not, and never grows beyond it. It is
unpacked a piece at a time: between two of them others have their turn, and a bomb is known by its first piece too many.
"""

import zlib
from collections.abc import Iterator

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rest.lists import Pause, no_pause

CODINGS = {"gzip": 31, "deflate": 15}
"""What tritonclient compresses with, and zlib's number for it; `deflate` is zlib's own format (RFC 9110, 8.4.1.2)."""
PIECE = 1 << 16
"""bytes that are unpacked at once, and a quarter of it that are taken in"""


def announced(length: int | None, cap: int) -> None:
    """Refuse a body by its Content-Length, before anything of it is read."""
    if length is not None and length > cap:
        raise too_large(length, cap)


def too_large(size: int, cap: int) -> ServingError:
    """The refusal of a body."""
    return ServingError(Kind.TOO_LARGE, f"the request has {size} bytes or more, {cap} are taken")


def decompressed(body: bytes | bytearray, coding: str, cap: int, pause: Pause = no_pause) -> bytearray:
    """The content of a body. Raises `ServingError` for codings that are not known, rubbish, and for bombs."""
    window = CODINGS.get(coding)
    if window is None:
        raise ServingError(Kind.INVALID, f"unsupported Content-Encoding '{coding[:20]}': gzip, deflate or none")
    content = bytearray()
    try:
        for piece in _inflated(body, window):
            content += piece
            if len(content) > cap:
                raise too_large(len(content), cap)
            pause()
    except zlib.error:
        raise ServingError(Kind.INVALID, f"the request is not {coding}, as its Content-Encoding says") from None
    except EOFError:
        raise ServingError(Kind.INVALID, f"the request is not one whole {coding} stream") from None
    return content


def _inflated(body: bytes | bytearray, window: int) -> Iterator[bytes]:
    """The pieces of one stream. Raises zlib.error, and EOFError where it ends too early or something follows."""
    inflate = zlib.decompressobj(window)
    for start in range(0, len(body), PIECE // 4):
        if inflate.eof:
            raise EOFError
        taken = memoryview(body)[start : start + PIECE // 4]
        while piece := inflate.decompress(taken, PIECE):
            yield piece
            taken = memoryview(inflate.unconsumed_tail)
    if not inflate.eof or inflate.unused_data:
        raise EOFError


def compressed(content: bytes, coding: str) -> bytes:
    """The content in a coding of `CODINGS`, as fast as zlib can: a client on the same network waits for it."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, CODINGS[coding])
    return deflate.compress(content) + deflate.flush()


def wanted_coding(accepted: str) -> str:
    """The coding of an answer by Accept-Encoding, empty for none.

    One coding alone is a wish (tritonclient's `response_compression_algorithm`). A list is what HTTP libraries send
    unasked; on a device, compressing then costs more than it saves.
    """
    coding = accepted.strip().lower()
    return coding if coding in CODINGS else ""
