"""The bytes of a request: how many are taken, and what they are when they came compressed.

A body is never read beyond its cap, whether its length was announced or not, and never grows beyond it.
"""

import zlib

from edge_node.serving.inference import Kind, ServingError

CODINGS = {"gzip": 31, "deflate": 15}
"""What tritonclient compresses with, and zlib's number for it; `deflate` is zlib's own format (RFC 9110, 8.4.1.2)."""


def announced(length: int | None, cap: int) -> None:
    """Refuse a body by its Content-Length, before anything of it is read."""
    if length is not None and length > cap:
        raise too_large(length, cap)


def too_large(size: int, cap: int) -> ServingError:
    """The refusal of a body."""
    return ServingError(Kind.TOO_LARGE, f"the request has {size} bytes or more, {cap} are taken")


def decompressed(body: bytes, coding: str, cap: int) -> bytes:
    """The content of a body. Raises `ServingError` for codings that are not known, rubbish, and for bombs."""
    window = CODINGS.get(coding)
    if window is None:
        raise ServingError(Kind.INVALID, f"unsupported Content-Encoding '{coding[:20]}': gzip, deflate or none")
    inflate = zlib.decompressobj(window)
    try:
        content = inflate.decompress(body, cap + 1)
    except zlib.error:
        raise ServingError(Kind.INVALID, f"the request is not {coding}, as its Content-Encoding says") from None
    if len(content) > cap:
        raise too_large(len(content), cap)
    if not inflate.eof or inflate.unused_data:
        raise ServingError(Kind.INVALID, f"the request is not one whole {coding} stream")
    return content


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
