"""Pictures of an inspection line: turned steel flanges on a belt, seen by a camera above it.

Every picture is a pure function of a random generator, so that a seed is a data set. What makes it honest: good
parts carry stains, dust and faint marks too, lighting and angle vary, scratches and dents go down to what one can
just see. Training, the held-out pictures and the clip all come from here, with different seeds.

Not here: the film (clip.py), the network (train.py), the model files (convert.py).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["good", "scratch", "dent", "missing_hole"]
Picture = NDArray[np.float32]
"""Values 0..1; [height, width] or [height, width, 3]."""

KINDS: tuple[Kind, ...] = ("good", "scratch", "dent", "missing_hole")
LABELS = (*KINDS, "empty")
"""The classes, in the order of the network's outputs; `empty`: no part is fully in view."""

WIDTH, HEIGHT = 640, 360
SPRITE = 208
RADIUS, BORE, BOLT_CIRCLE, BOLT_HOLE = 95.0, 30.0, 64.0, 9.0
BOLTS = 6
STEEL = np.array([0.98, 1.0, 1.04], np.float32)
BELT_PERIOD = 810
"""After this many pixels the belt's texture repeats."""


@dataclass(frozen=True)
class Sprite:
    """A part: its `colour` [h, w, 3], how much it covers and how much shadow it throws, both [h, w]."""

    colour: Picture
    cover: Picture
    shadow: Picture


def _grid() -> tuple[Picture, Picture]:
    """Coordinates of the sprite's pixels from its centre, x to the right and y down."""
    axis = np.arange(SPRITE, dtype=np.float32) - (SPRITE - 1) / 2
    x, y = np.meshgrid(axis, axis)
    return x, y


X, Y = _grid()
R = np.hypot(X, Y)
THETA = np.arctan2(Y, X)


def _disc(x: float, y: float, radius: float, soft: float = 1.0) -> Picture:
    """1 inside a circle, 0 outside, with an edge `soft` pixels wide."""
    return np.clip((radius - np.hypot(X - x, Y - y)) / soft + 0.5, 0, 1).astype(np.float32)


def _rings(rng: np.random.Generator) -> Picture:
    """The finish that a lathe leaves: noise that depends on the radius alone, and its radiating highlight."""
    marks = rng.normal(0, 0.035, SPRITE)
    finish = np.interp(R.ravel() * 1.4, np.arange(SPRITE), marks).reshape(R.shape)
    highlight = 0.13 * np.cos(2 * (THETA - rng.uniform(0, np.pi)))
    return (rng.uniform(0.55, 0.66) + finish + highlight * np.clip(R / RADIUS, 0, 1)).astype(np.float32)


def _blemishes(rng: np.random.Generator) -> Picture:
    """What any good part may show: stains, dust, faint short marks. Added to the brightness."""
    added = np.zeros_like(X)
    for _ in range(rng.integers(0, 3)):
        x, y = rng.uniform(-70, 70, 2)
        added -= rng.uniform(0.02, 0.07) * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / rng.uniform(8, 22) ** 2)
    for _ in range(rng.integers(0, 6)):
        x, y = rng.uniform(-80, 80, 2)
        added -= rng.uniform(0.1, 0.35) * _disc(x, y, rng.uniform(0.6, 1.6))
    if rng.random() < 0.25:
        added += _stroke(rng, length=rng.uniform(6, 14), width=0.9, strength=rng.uniform(0.05, 0.13))
    return added.astype(np.float32)


def _stroke(rng: np.random.Generator, length: float, width: float, strength: float) -> Picture:
    """A slightly bent groove on the face between bore and rim: one flank is bright, the other dark."""
    at, middle, heading = rng.uniform(0, 2 * np.pi), rng.uniform(BORE + 14, RADIUS - 18), rng.uniform(0, 2 * np.pi)
    x, y = middle * np.cos(at), middle * np.sin(at)
    along = (X - x) * np.cos(heading) + (Y - y) * np.sin(heading)
    across = -(X - x) * np.sin(heading) + (Y - y) * np.cos(heading) + rng.uniform(-0.006, 0.006) * along**2
    ends = np.clip((length / 2 - np.abs(along)) / 6 + 0.5, 0, 1)
    groove = np.exp(-((across / width) ** 2)) - 0.5 * np.exp(-(((across - 1.8 * width) / width) ** 2))
    return (rng.choice([-0.8, 1.0]) * strength * ends * groove).astype(np.float32)


def _scratch(rng: np.random.Generator) -> Picture:
    count = 1 + int(rng.random() < 0.3)
    strokes = (_stroke(rng, rng.uniform(34, 100), rng.uniform(1.3, 2.3), rng.uniform(0.26, 0.58)) for _ in range(count))
    return np.sum(list(strokes), axis=0, dtype=np.float32)


def _dent(rng: np.random.Generator) -> Picture:
    """A smooth hollow, lit from the upper left: the flank towards the light is dark, the other bright."""
    at, middle, size = rng.uniform(0, 2 * np.pi), rng.uniform(BORE + 16, RADIUS - 20), rng.uniform(8, 15)
    x, y = (X - middle * np.cos(at)) / size, (Y - middle * np.sin(at)) / size
    light = np.deg2rad(225 + rng.uniform(-35, 35))
    slope = (x * np.cos(light) + y * np.sin(light)) * np.exp(-(x**2 + y**2) / 1.3)
    return (-rng.uniform(0.34, 0.8) * slope).astype(np.float32)


def _drill(face: Picture, rng: np.random.Generator, *, missing: bool) -> Picture:
    """The face with its bore and bolt holes, each with a countersink; one of them left out where `missing`."""
    turn = rng.uniform(0, 2 * np.pi)
    skip = rng.integers(BOLTS) if missing else -1
    holes = [(0.0, 0.0, BORE)]
    for bolt in range(BOLTS):
        angle = turn + bolt * 2 * np.pi / BOLTS
        if bolt != skip:
            holes.append((BOLT_CIRCLE * np.cos(angle), BOLT_CIRCLE * np.sin(angle), BOLT_HOLE))
    for x, y, radius in holes:
        face = face + 0.16 * (_disc(x, y, radius + 3.5, 2) - _disc(x, y, radius, 2)) * np.sign(Y - y + 0.5)
        face = face * (1 - _disc(x, y, radius)) + _disc(x, y, radius) * (0.07 + 0.03 * np.clip((Y - y) / radius, -1, 1))
    return face.astype(np.float32)


def part(kind: Kind, rng: np.random.Generator) -> Sprite:
    """A flange of that kind at any angle."""
    face = _rings(rng) + _blemishes(rng)
    if kind == "scratch":
        face = face + _scratch(rng)
    elif kind == "dent":
        face = face + _dent(rng)
    face = _drill(face.astype(np.float32), rng, missing=kind == "missing_hole")
    rim = _disc(0, 0, RADIUS, 2) - _disc(0, 0, RADIUS - 5, 3)
    face = face + rim * (0.18 * np.cos(THETA - np.deg2rad(225)) - 0.05)
    shadow = _disc(6, 9, RADIUS + 2, 14) * 0.65
    return Sprite((face[..., None] * STEEL).astype(np.float32), _disc(0, 0, RADIUS), shadow.astype(np.float32))


def belt(rng: np.random.Generator) -> Picture:
    """The texture of one period of the belt, [HEIGHT, BELT_PERIOD, 3]: ribbed rubber with scuffs."""
    rubber = 0.15 + rng.normal(0, 0.012, (HEIGHT, BELT_PERIOD))
    rubber += 0.018 * np.sin(np.arange(BELT_PERIOD) * 2 * np.pi / 27)
    for _ in range(40):
        y, x, length = rng.integers(HEIGHT), rng.integers(BELT_PERIOD), rng.integers(8, 60)
        rubber[y, np.arange(x, x + length) % BELT_PERIOD] += rng.uniform(-0.03, 0.05)
    return (rubber[..., None] * np.array([0.94, 1.0, 1.04])).astype(np.float32)


def _rails(canvas: Picture) -> None:
    """Guides above and below the belt, painted yellow and black at the bottom as at a real machine."""
    rows = np.linspace(0.35, 0.62, 22, dtype=np.float32)[:, None, None]
    canvas[:22] = rows * STEEL
    canvas[-22:] = rows[::-1] * STEEL
    stripes = ((np.arange(WIDTH)[None, :] + np.arange(12)[:, None]) // 14 % 2).astype(np.float32)[..., None]
    canvas[-17:-5] = stripes * np.array([0.86, 0.66, 0.1], np.float32) + 0.06


def _place(canvas: Picture, sprite: Sprite, centre: int) -> None:
    """Lay a part on the belt with its centre at the column `centre`; what is outside the picture is cut."""
    left, top = centre - SPRITE // 2, (HEIGHT - SPRITE) // 2
    first, last = max(left, 0), min(left + SPRITE, WIDTH)
    if first >= last:
        return
    cut = slice(first - left, last - left)
    area = canvas[top : top + SPRITE, first:last]
    area *= 1 - sprite.shadow[:, cut, None] * 0.8
    cover = sprite.cover[:, cut, None]
    area *= 1 - cover
    area += cover * sprite.colour[:, cut]


@dataclass(frozen=True)
class Light:
    """The lamp: how bright, how it falls off to one side (`tilt`, per picture width) and its colour."""

    level: float
    tilt: float
    warmth: float


def any_light(rng: np.random.Generator) -> Light:
    """A lamp within the variation of a shift."""
    return Light(rng.uniform(0.82, 1.16), rng.uniform(-0.22, 0.22), rng.uniform(-0.05, 0.05))


def frame(
    texture: Picture, offset: int, parts: list[tuple[int, Sprite]], light: Light, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """What the camera sees, uint8 [HEIGHT, WIDTH, 3].

    Args:
        texture: of `belt`.
        offset: how far the belt has moved, in pixels.
        parts: the column of each part's centre, and the part.
        light: the lamp.
        rng: for the sensor's noise.
    """
    columns = (np.arange(WIDTH) - offset) % BELT_PERIOD
    canvas = texture[:, columns].copy()
    for centre, sprite in parts:
        _place(canvas, sprite, centre)
    _rails(canvas)
    fall = light.level * (1 + light.tilt * (np.arange(WIDTH, dtype=np.float32) / WIDTH - 0.5))
    canvas *= fall[None, :, None] * np.array([1 + light.warmth, 1, 1 - light.warmth], np.float32)
    canvas += 0.012 * rng.standard_normal((HEIGHT, WIDTH, 1), np.float32)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)
