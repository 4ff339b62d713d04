"""What `--input` names, as samples of a model: photos, folders, videos, sounds, arrays.

Photos and videos are read by capture's sources, so that `infer` sees what a node sees.
"""

import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from edge_node.capture.kinds import PHOTO_SUFFIXES
from edge_node.capture.sources import open_source
from edge_node.config import Source
from edge_node.engine.base import Array
from edge_node.errors import BadInput
from edge_node.pipeline.inputs import match_inputs
from edge_node.pipeline.runner import Runner, Sample
from edge_node.pipeline.windows import windows_of
from protos.bundle import Input

Floats = NDArray[np.float32]

NO_FRAMES = (".npy", ".bin", ".wav")
TAKES = {
    "image": "a photo, a folder of photos or a video",
    "audio": "a .wav file, or a .npy or .bin file of samples",
    "series": "a .npy or .bin file of rows",
    "tensor": "a .npy or .bin file of values",
}


@dataclass(frozen=True)
class Item:
    """One sample: where it comes from, and in a stream its position in seconds or as a number."""

    origin: str
    sample: Sample
    position: float | None = None


@dataclass(frozen=True)
class Stream:
    """What one input gives. `single` inputs are one sample each and shown one by one."""

    origin: str
    items: Iterator[Item]
    single: bool


def samples(paths: Iterable[str], runner: Runner) -> Iterator[Sample]:
    """The samples of all inputs, one after the other; raises as `streams`."""
    for stream in streams(list(paths), runner):
        yield from (item.sample for item in stream.items)


def streams(paths: list[str], runner: Runner) -> Iterator[Stream]:
    """One stream per input; a folder of photos is a stream for each photo.

    Raises:
        BadInput: an input that is not there or does not fit the model.
    """
    matched = match_inputs(runner.manifest.inputs, runner.session.inputs)
    given = [one for one, _ in matched if one.kind not in ("state", "constant")]
    for path in (one for named in paths for one in _expanded(named)):
        if path.suffix == ".npz":
            yield Stream(str(path), iter([Item(str(path), _arrays(path))]), single=True)
        elif len(given) != 1:
            raise BadInput(f"{path}: the model takes {', '.join(runner.samples)}: give a .npz file with these arrays")
        elif given[0].kind == "image":
            single = path.suffix.lower() in PHOTO_SUFFIXES
            yield Stream(str(path), _frames(path), single)
        else:
            yield _values_stream(path, given[0], runner)


def _expanded(named: str) -> list[Path]:
    path = Path(named)
    if not path.is_dir():
        return [path]
    photos = sorted(file for file in path.iterdir() if file.suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise BadInput(f"{path}: no photos in this folder: give a folder of {', '.join(sorted(PHOTO_SUFFIXES))} files")
    return photos


def _frames(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise BadInput(f"{path}: no such file: give {TAKES['image']}")
    if path.suffix.lower() in NO_FRAMES:
        raise BadInput(f"{path}: the model takes {TAKES['image']}")
    source = open_source(Source(url=str(path), realtime=False))
    for frame in source.frames(lambda _: None, Event()):
        yield Item(str(path), frame.to_rgb(), frame.stream_time_s)


def _values_stream(path: Path, given: Input, runner: Runner) -> Stream:
    values = _values(path, given)
    if given.kind == "tensor":
        shape = runner.specs[next(iter(runner.samples))].shape
        samples = as_samples(values, shape, str(path))
        return Stream(str(path), (Item(str(path), one, float(n)) for n, one in enumerate(samples)), len(samples) == 1)
    steps = windows_of(given).push(values)
    return Stream(str(path), (Item(str(path), step, float(n)) for n, step in enumerate(steps)), single=False)


def as_samples(values: Array, shape: tuple[int | None, ...], origin: str) -> Array:
    """Values as an array of samples: one that fills the shape, or several one after the other.

    Raises:
        BadInput: they are no whole number of samples.
    """
    size = int(np.prod([axis or 1 for axis in shape]))
    if None in shape[1:]:
        return values[None]
    if values.size == 0 or values.size % size:
        raise BadInput(f"{origin}: {values.size} values are no whole number of samples of {size}")
    return values.reshape(-1, *(axis or 1 for axis in shape))


def _values(path: Path, given: Input) -> Floats:
    """The real values of a file: audio as a vector of -1..1, a series as rows, a tensor as it lies there."""
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".bin") and not (suffix == ".wav" and given.kind == "audio"):
        raise BadInput(f"{path}: the model takes {TAKES[given.kind]}")
    try:
        if suffix == ".wav":
            return _sound(path, given)
        values = np.load(path, allow_pickle=False) if suffix == ".npy" else np.fromfile(path, np.float32)
        values = np.asarray(values, np.float32)
    except _unreadable() as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(f"{path}: {reason}: give {TAKES[given.kind]}") from None
    return _rows(values, given.features, path) if given.kind == "series" else values


def _unreadable() -> tuple[type[Exception], ...]:
    """What reading arrays may raise; asked for where something was raised."""
    from edge_node.pipeline.golden import UNREADABLE

    return UNREADABLE


def _rows(values: Floats, features: int | None, path: Path) -> Floats:
    if features is None:
        return values if values.ndim > 1 else values.reshape(-1, 1)
    if values.size == 0 or values.size % features:
        raise BadInput(f"{path}: {values.size} values are no whole number of rows of {features}")
    return values.reshape(-1, features)


def _sound(path: Path, given: Input) -> Floats:
    """A PCM WAV of 16 bits, mixed to one channel."""
    try:
        with wave.open(str(path), "rb") as sound:
            rate, channels, width = sound.getframerate(), sound.getnchannels(), sound.getsampwidth()
            content = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a chunk longer than the one around it
        raise BadInput(f"{path} is no PCM wave file ({error}): convert it: {_convert(path, given)}") from None
    if width != 2 or (given.rate is not None and rate != given.rate):
        raise BadInput(f"{path} has {8 * width} bits at {rate} Hz, not 16 at {given.rate}: {_convert(path, given)}")
    whole = len(content) - len(content) % (2 * channels)  # a recording that was cut off may end within a sample
    samples = np.frombuffer(content[:whole], "<i2").reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return np.asarray(samples / np.float32(32768), np.float32)


def _convert(path: Path, given: Input) -> str:
    rate = f" -ar {given.rate}" if given.rate else ""
    return f"ffmpeg -i {path.name}{rate} -ac 1 -c:a pcm_s16le converted.wav"


def _arrays(path: Path) -> Sample:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _unreadable() as error:
        raise BadInput(f"{path} is no .npz file that can be read: {error}") from None
