"""Which models there are on the disk: what the paths of a command line lead to, read anew at every look.

A path is a raw `.tflite` or `.onnx` file (its stem is the model's name), a bundle folder (its manifest has the name),
or a folder of those: a Triton-style repository `<repository>/<model>/<version>/model.*` among them. No model is opened.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_node.authoring.triton import CONFIG, SUFFIXES, versions
from edge_node.engine.beside import weights_of
from edge_node.errors import BadInput, NearfieldError, Refused
from edge_node.repository.triton_config import TritonConfig, parse_config
from protos.admission.limits import Inadmissible
from protos.admission.text import manifest_text
from protos.bundle import MANIFEST, Manifest, golden_files, named_files, parse_manifest
from protos.errors import ContractError

MOST_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class Found:
    """A version of a model. `path` is its file, or its bundle's folder.

    `files` are all that belong to it, by their path from the folder of `path`, or from `path` itself where that is a
    bundle. `stamp` says of each what changes when the file does: size, time of change, inode.
    """

    model: str
    version: str
    path: Path
    files: tuple[str, ...]
    stamp: tuple[tuple[int, int, int], ...]
    bundle: bool = False
    labels: Path | None = None
    """a file with a line per class, where the model's configuration names one"""
    states: Path | None = None
    """the folder with the files of initial states, where there may be one"""
    config: TritonConfig = field(default_factory=TritonConfig)

    @property
    def folder(self) -> Path:
        """What `files` count from."""
        return self.path if self.bundle else self.path.parent


@dataclass(frozen=True)
class Look:
    """What there is: the `found` versions, and why models in a folder of several cannot be read, by their folder."""

    found: tuple[Found, ...]
    unread: Mapping[str, NearfieldError]


def find(paths: Iterable[Path]) -> tuple[Found, ...]:
    """All versions of all models below the paths, by name and version.

    Raises:
        BadInput: nothing there, nothing that can be served, or two models of one name and version.
        Refused: a manifest that is larger than any.
    """
    seen = look(paths)
    for why in seen.unread.values():
        raise why
    return seen.found


def look(paths: Iterable[Path]) -> Look:
    """As `find`, but a model beside others that cannot be read is no concern of theirs.

    Raises:
        BadInput, Refused: as `find`, for what a path itself leads to.
    """
    by_name: dict[tuple[str, str], Found] = {}
    unread: dict[str, NearfieldError] = {}
    for path in paths:
        for one in _read(path, unread):
            other = by_name.setdefault((one.model, one.version), one)
            if other.path != one.path:
                raise BadInput(
                    f"{other.path} and {one.path} are both version {one.version} of a model {one.model!r}: "
                    "rename one of them"
                )
    found = sorted(by_name.values(), key=lambda one: (one.model, _rank(one.version)))
    return Look(tuple(found), unread)


def _read(path: Path, unread: dict[str, NearfieldError]) -> list[Found]:
    try:
        return list(_at(path, unread))
    except OSError as error:
        raise BadInput(f"{error.filename or path}: {error.strerror}") from None


def _at(path: Path, unread: dict[str, NearfieldError]) -> Iterator[Found]:
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder: give .tflite or .onnx files, bundles or model repositories")
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise BadInput(f"{path}: no engine runs {path.suffix or 'such'} files: give a .tflite or .onnx file")
        yield _raw(path.stem, "1", path)
        return
    found = list(_in_folder(path)) or [one for child in sorted(path.iterdir()) for one in _member(child, unread)]
    if not found and not unread:
        raise BadInput(f"{path} has no models: expected .tflite or .onnx files, bundles, or <model>/<version>/model.*")
    yield from found


def _member(child: Path, unread: dict[str, NearfieldError]) -> list[Found]:
    """What a folder of models has at one place; other files and folders are no concern."""
    try:
        if child.is_dir():
            return list(_in_folder(child))
        return [_raw(child.stem, "1", child)] if child.suffix.lower() in SUFFIXES else []
    except OSError as error:
        unread[child.name] = BadInput(f"{error.filename or child}: {error.strerror}")
    except NearfieldError as error:
        unread[child.name] = error
    return []


def _in_folder(folder: Path) -> Iterator[Found]:
    """The bundle that a folder is, or the versions of the model that it is the folder of; nothing where it is none."""
    if (folder / MANIFEST).is_file():
        numbered = versions([folder.name])
        yield _bundle(folder, str(numbered[0]) if numbered else "1", None)
        return
    numbers = versions(child.name for child in folder.iterdir() if child.is_dir())
    if not numbers:
        return
    config = _config(folder)
    for number in config.chosen(numbers):
        yield _version(folder, str(number), config)


def _version(model: Path, version: str, config: TritonConfig) -> Found:
    folder = model / version
    if (folder / MANIFEST).is_file():
        return _bundle(folder, version, model.name)
    places = [path / path.name if path.is_dir() else path for path in sorted(folder.iterdir())]
    files = [path for path in places if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not files:
        raise BadInput(f"{folder} has no model.onnx or model.tflite: other formats are not run here")
    return _raw(model.name, version, files[0], model, config)


def _raw(name: str, version: str, path: Path, model: Path | None = None, config: TritonConfig | None = None) -> Found:
    weights = [weight.relative_to(path.resolve().parent).as_posix() for weight in weights_of(path)]
    config = config or TritonConfig()
    labels = None if model is None or config.labelled is None else model / config.labelled.file
    states = None if model is None else model / "initial_state"
    return _stamped(Found(name, version, path, (path.name, *weights), (), labels=labels, states=states, config=config))


def _bundle(folder: Path, version: str, name: str | None) -> Found:
    manifest = _manifest(folder)
    present = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    wanted = {MANIFEST, *named_files(manifest), *golden_files(manifest, present)}
    files = tuple(sorted(wanted.intersection(present)))
    return _stamped(Found(name or manifest.name, version, folder, files, (), bundle=True))


def _manifest(folder: Path) -> Manifest:
    try:
        with (folder / MANIFEST).open("rb") as file:
            return parse_manifest(manifest_text(file))
    except ContractError as error:
        raise BadInput(f"{folder}: {error}") from None
    except Inadmissible as error:
        raise Refused(f"{folder / MANIFEST}: {error}") from None


def _config(model: Path) -> TritonConfig:
    path = model / CONFIG
    if not path.is_file():
        return TritonConfig()
    with path.open("rb") as file:
        text = file.read(MOST_CONFIG_BYTES + 1)
    if len(text) > MOST_CONFIG_BYTES:
        raise Refused(f"{path} is larger than any configuration")
    config = parse_config(text.decode(errors="replace"), str(path))
    labels = "" if config.labelled is None else config.labelled.file
    if not (model / labels).resolve().is_relative_to(model.resolve()):
        raise BadInput(f"{path} names labels outside the model's folder: {labels!r}")
    return config


def _stamped(found: Found) -> Found:
    status = [(found.folder / name).stat() for name in found.files]
    return replace(found, stamp=tuple((one.st_size, one.st_mtime_ns, one.st_ino) for one in status))


def _rank(version: str) -> tuple[int, str]:
    return (int(version) if version.isdecimal() else 0, version)
