"""The detector of frame content finds frames in every form, and nothing in results."""

import base64
import io
import json
import random
import wave

import msgspec
import numpy as np
import pytest
from PIL import Image

from tests.e2e.frame_content import evidence
from tests.unit.protos.test_egress import REAL, RESULT


def picture() -> Image.Image:
    """Something like a photograph: smooth, with noise."""
    noise = np.random.default_rng(7)
    slope = np.linspace(0, 200, 96 * 128 * 3).reshape(96, 128, 3)
    return Image.fromarray((slope + noise.integers(0, 40, slope.shape)).astype(np.uint8))


def encoded(kind: str) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture().save(file, kind)
    return file.getvalue()


def sound() -> bytes:
    """A second of noise as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(random.Random(3).randbytes(32_000))
    return file.getvalue()


FRAMES = {
    "JPEG": encoded("JPEG"),
    "JPEG without its beginning": encoded("JPEG")[200:],
    "PNG": encoded("PNG"),
    "WebP": encoded("WEBP"),
    "BMP": encoded("BMP"),
    "raw": picture().tobytes(),
    "sound": sound(),
    "base64": json.dumps({"label": base64.b64encode(encoded("JPEG")).decode()}).encode(),
    "hexadecimal": json.dumps({"label": encoded("JPEG").hex()}).encode(),
    "numbers": json.dumps({"values": list(picture().resize((16, 16)).tobytes())}).encode(),
    "a corner of it in base64": json.dumps([{"label": base64.b64encode(encoded("JPEG")[:300]).decode()}]).encode(),
}


@pytest.mark.parametrize("form", FRAMES)
def test_a_frame_is_found_in_every_form(form: str) -> None:
    assert evidence(FRAMES[form])


def test_what_a_node_says_is_none() -> None:
    for payload in (
        RESULT,
        b"[" + b",".join([RESULT] * 100) + b"]",
        b"online",
        *map(msgspec.json.encode, REAL.values()),
    ):
        assert evidence(payload) == []
