"""A bundle as a folder on the administrator's disk: which files it has, and what they contain."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from coordinator.errors import BadInput, Refused
from protos.admission.bundle import naming
from protos.admission.text import manifest_text
from protos.bundle import MANIFEST, missing_files, parse_manifest
from protos.digest import Digest
from protos.errors import ContractError
from protos.evaluation import EVALUATION, parse_requirement, shortcomings
from protos.oci import BundleFile, write_manifest


@dataclass(frozen=True)
class LocalFile:
    """A file of the bundle as it was when its digest was taken."""

    path: Path
    entry: BundleFile
    modified_ns: int

    def check_unchanged(self) -> None:
        """Nobody has written to the file since.

        Raises:
            BadInput: somebody has, or it is gone.
        """
        try:
            found = self.path.stat()
        except OSError:
            raise BadInput(f"{self.path} went away while it was being pushed: push again") from None
        if (found.st_mtime_ns, found.st_size) != (self.modified_ns, self.entry.size):
            raise BadInput(f"{self.path} changed while it was being pushed: push again when nobody writes to it")


@dataclass(frozen=True)
class LocalBundle:
    """A bundle that can be pushed: the model's name, its files, its OCI manifest, and which of the files run."""

    model: str
    files: tuple[LocalFile, ...]
    manifest: bytes
    variants: tuple[str, ...] = ()


def read_bundle(folder: Path) -> LocalBundle:
    """The bundle in a folder; hidden files are left out.

    Raises:
        BadInput: no folder, no `model.toml`, an error in it, a file that it names is missing, or a link.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder: give the folder that has the {MANIFEST}")
    if not (folder / MANIFEST).is_file():
        raise BadInput(f"{folder} has no {MANIFEST}: make a bundle with edgectl model init")
    _refuse_link(folder / MANIFEST)
    try:
        with (folder / MANIFEST).open("rb") as file, naming(MANIFEST, "a text in UTF-8"):
            manifest = parse_manifest(manifest_text(file))
        files = tuple(_local_file(path, folder) for path in _paths(folder))
        missing = missing_files(manifest, {file.entry.path for file in files})
        if missing:
            raise BadInput(f"{folder / MANIFEST} names files that are not there: {', '.join(missing)}")
        variants = tuple(one.file for one in manifest.variants)
        return LocalBundle(manifest.name, files, write_manifest(file.entry for file in files), variants)
    except ContractError as error:
        raise BadInput(f"{folder}: {error}") from None
    except OSError as error:
        raise BadInput(f"{error.filename}: {error.strerror}") from None


def check_evaluated(bundle: LocalBundle, required: Iterable[str]) -> None:
    """Return if the bundle's evaluation shows what is required.

    Raises:
        BadInput: a condition is none, or names what was not evaluated.
        Refused: it does not, or there is none.
    """
    files = {file.entry.path: file for file in bundle.files}
    content = files[EVALUATION].path.read_bytes() if EVALUATION in files else None
    try:
        wanted = tuple(map(parse_requirement, required))
        lines = shortcomings(content, {file: files[file].entry.digest for file in bundle.variants}, wanted)
    except ContractError as error:
        raise BadInput(str(error)) from None
    if lines:
        raise Refused("; ".join(lines))


def _paths(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent) / name
        for name in folders:
            _refuse_link(Path(parent) / name)


def _local_file(path: Path, folder: Path) -> LocalFile:
    _refuse_link(path)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
    entry = BundleFile(path.relative_to(folder).as_posix(), digest, status.st_size)
    return LocalFile(path, entry, status.st_mtime_ns)


def _refuse_link(path: Path) -> None:
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        raise BadInput(f"{path} is not a plain file: a bundle holds plain files only, copy it in place of the link")
