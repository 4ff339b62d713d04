"""The demo's film: an endless belt of parts, and the truth of what it shows.

`python clip.py` writes ../clip/line.mp4 and ../clip/truth.json. The film's end meets its beginning.
"""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from dataset import SPACING, Pixels, truth
from generator import HEIGHT, WIDTH, Kind, Light, belt, frame, part

CLIP = Path(__file__).parent.parent / "clip"
SEED = 2026
FPS, STEP = 20, 12
"""Frames per second, and pixels that the belt moves from one frame to the next."""
ORDER: tuple[Kind, ...] = (
    "good", "scratch", "good", "missing_hole", "good", "dent", "good", "scratch",
    "good", "good", "dent", "good", "missing_hole", "good", "scratch", "dent",
)  # fmt: skip
LENGTH = len(ORDER) * SPACING
FRAMES = LENGTH // STEP


def _centres(number: int) -> list[int]:
    """The columns of all parts in a frame, from -LENGTH/2 to LENGTH/2 around the middle of the picture."""
    middle = WIDTH // 2
    places = (-place * SPACING + number * STEP - SPACING // 2 for place in range(len(ORDER)))
    return [(place + LENGTH // 2) % LENGTH - LENGTH // 2 + middle for place in places]


def _light(number: int) -> Light:
    """The lamp, drifting once around in the length of the film."""
    turn = 2 * np.pi * number / FRAMES
    return Light(1 + 0.08 * np.sin(turn), 0.12 * np.cos(2 * turn), 0.02 * np.sin(3 * turn))


def frames() -> list[Pixels]:
    """Every frame of the film."""
    rng = np.random.default_rng(SEED)
    texture, sprites = belt(rng), [part(kind, rng) for kind in ORDER]
    return [
        frame(texture, n * STEP, list(zip(_centres(n), sprites, strict=True)), _light(n), rng) for n in range(FRAMES)
    ]


def label(number: int) -> str | None:
    """The class of a frame; None where a part is on its way in or out."""
    distance, kind = min((abs(c - WIDTH // 2), kind) for c, kind in zip(_centres(number), ORDER, strict=True))
    return truth(distance, kind)


def intervals() -> list[dict[str, float | str]]:
    """Stretches of equal class, each half a frame wider on both sides than its first and last frame's times."""
    found: list[dict[str, float | str]] = []
    for number in range(FRAMES):
        name, before = label(number), label(number - 1) if number else None
        if name is not None and name == before:
            found[-1]["to_s"] = (number + 0.5) / FPS
        elif name is not None:
            found.append({"from_s": max(0.0, (number - 0.5) / FPS), "to_s": (number + 0.5) / FPS, "label": name})
    return found


def write() -> None:
    """The film and its truth."""
    CLIP.mkdir(exist_ok=True)
    with av.open(str(CLIP / "line.mp4"), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "28", "preset": "veryslow", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(frames()):
            image = av.VideoFrame.from_ndarray(picture, format="rgb24")
            image.pts, image.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    known = {"clip": "line.mp4", "fps": FPS, "duration_s": FRAMES / FPS, "intervals": intervals()}
    (CLIP / "truth.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
