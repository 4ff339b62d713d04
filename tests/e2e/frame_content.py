"""Looks for the content of frames, or sound, in bytes that left a node. Pure; what it says is evidence, in words.

What a result is: short UTF-8 text. So it looks for what text of results is not: the first bytes of files of images and
sound, anywhere, raw or in base64; bytes as dense as compressed media; long runs of one token without a blank; numbers
without end; a size beyond a result's.
"""

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Iterator

MOST_BYTES = 32 * 1024
"""Of one message of a node whose pipelines give a few labels."""
WINDOW = 512
DENSE = 6.6
"""Bits a byte: JSON of results has about 5.2, base64 6.0, JPEG, H.264 and TLS above 7.4 in a window of this size."""
MOST_NUMBERS = 600
MAGICS = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF8",
    "WebP or WAV": b"RIFF",
    "BMP header": b"BM6",
    "H.264 stream": b"\x00\x00\x00\x01g",
    "MP4": b"ftypisom",
    "Ogg": b"OggS",
}
LONG_TOKEN = re.compile(rb"[A-Za-z0-9+/_=-]{200,}")
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def evidence(payload: bytes) -> list[str]:
    """Why these bytes may hold a frame or sound; nothing where they are a result's."""
    return [*_magics(payload), *_density(payload), *_long_tokens(payload), *_numbers(payload), *_size(payload)]


def entropy(window: bytes) -> float:
    """Shannon's, in bits a byte."""
    counts = Counter(window).values()
    return -sum(count / len(window) * math.log2(count / len(window)) for count in counts)


def _magics(payload: bytes) -> Iterator[str]:
    for name, magic in MAGICS.items():
        if magic in payload:
            yield f"the first bytes of {name}"
        if len(magic) >= 3 and base64.b64encode(magic[: len(magic) // 3 * 3]) in payload:
            yield f"the first bytes of {name} in base64"


def _density(payload: bytes) -> Iterator[str]:
    try:
        payload.decode()
    except UnicodeDecodeError:
        yield "not UTF-8"
    for start in range(0, max(1, len(payload) - WINDOW + 1), WINDOW // 2):
        window = payload[start : start + WINDOW]
        if len(window) == WINDOW and (bits := entropy(window)) > DENSE:
            yield f"{bits:.1f} bits a byte from byte {start} on"
            return


def _long_tokens(payload: bytes) -> Iterator[str]:
    found = LONG_TOKEN.search(payload)
    if found is not None:
        yield f"{len(found[0])} characters without a blank from byte {found.start()} on"


def _numbers(payload: bytes) -> Iterator[str]:
    count = sum(1 for _ in NUMBER.finditer(payload))
    per_event = count / max(1, payload.count(b'"specversion"'))
    if per_event > MOST_NUMBERS:
        yield f"{per_event:.0f} numbers in a result"


def _size(payload: bytes) -> Iterator[str]:
    try:
        parsed = json.loads(payload)
    except (ValueError, UnicodeDecodeError):
        parsed = None
    most = MOST_BYTES * (len(parsed) if isinstance(parsed, list) else 1)
    if len(payload) > most:
        yield f"{len(payload)} bytes in one message"
