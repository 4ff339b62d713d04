"""Labelled pictures from the generator, as the network sees them.

What the network sees is the middle square of the frame, made SIDE pixels wide with Pillow's bilinear filter: the
same as `fit = "crop"`, `resize = "bilinear"` in the bundle's model.toml.
"""

import io
from collections.abc import Iterator

import numpy as np
from generator import (
    BELT_PERIOD,
    HEIGHT,
    KINDS,
    LABELS,
    RADIUS,
    WIDTH,
    Kind,
    Picture,
    Sprite,
    any_light,
    belt,
    frame,
    part,
)
from numpy.typing import NDArray
from PIL import Image

SIDE = 128
SPACING = 405
"""Pixels between the centres of two parts; two periods are one period of the belt's texture."""
IN_VIEW = HEIGHT / 2 - RADIUS
"""A part is fully in view while its centre is at most so many pixels from the picture's."""
EMPTY = IN_VIEW + 35
"""No part is in view while the nearest centre is further than this; in between nothing is claimed."""

Pixels = NDArray[np.uint8]
Classes = NDArray[np.int64]


def seen(picture: Pixels) -> Pixels:
    """The network's view of a frame, uint8 [SIDE, SIDE, 3]."""
    margin = (WIDTH - HEIGHT) // 2
    square = Image.fromarray(picture).crop((margin, 0, margin + HEIGHT, HEIGHT))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def truth(distance: float, kind: Kind) -> str | None:
    """The class of a frame whose nearest part is `distance` pixels from the middle; None where nothing is claimed."""
    if abs(distance) <= IN_VIEW:
        return kind
    return "empty" if abs(distance) > EMPTY else None


def _filmed(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture after a lossy camera."""
    memory = io.BytesIO()
    Image.fromarray(picture).save(memory, "JPEG", quality=int(rng.integers(35, 95)))
    return np.asarray(Image.open(memory))


def _placed(kind: Kind, sprites: list[Sprite], texture: Picture, rng: np.random.Generator) -> tuple[Pixels, str]:
    """One picture of the sprites in a row, the one in the middle being of that kind."""
    far = rng.random() < 0.2
    distance = int(rng.uniform(EMPTY + 1, SPACING / 2) if far else rng.uniform(-IN_VIEW, IN_VIEW))
    distance = -distance if rng.random() < 0.5 else distance
    middle = WIDTH // 2 + distance
    row = [(middle + place * SPACING, sprite) for place, sprite in zip((0, -1, 1), sprites, strict=True)]
    picture = frame(texture, int(rng.integers(BELT_PERIOD)), row, any_light(rng), rng)
    label = truth(distance, kind)
    assert label is not None
    return seen(_filmed(picture, rng)), label


def _pictures(seed: int, parts: int) -> Iterator[tuple[Pixels, str]]:
    rng = np.random.default_rng(seed)
    belts = [belt(rng) for _ in range(6)]
    neighbours = [part(KINDS[i % len(KINDS)], rng) for i in range(12)]
    for i in range(parts):
        kind = KINDS[i % len(KINDS)]
        sprite = part(kind, rng)
        for _ in range(2):
            left, right = rng.integers(len(neighbours), size=2)
            yield _placed(kind, [sprite, neighbours[left], neighbours[right]], belts[i % len(belts)], rng)


def pictures(seed: int, parts: int) -> tuple[Pixels, Classes]:
    """Two pictures of each of so many parts: uint8 [n, SIDE, SIDE, 3], and their classes as positions in LABELS."""
    images, labels = zip(*_pictures(seed, parts), strict=True)
    return np.stack(images), np.array([LABELS.index(label) for label in labels])
