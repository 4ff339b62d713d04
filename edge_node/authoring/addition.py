"""What is added to a bundle folder that is there already: files, variants, golden vectors.

The manifest is written last, under another name first: a bundle that an addition broke off of is what it was.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edge_node.authoring.build import Apart, Samples, read_models, vectors_of, write_vectors
from edge_node.authoring.draft import golden_of, output_step
from edge_node.authoring.toml import manifest_toml
from edge_node.errors import BadInput
from edge_node.pipeline.bundle import Bundle, read_bundle
from protos.bundle import MANIFEST, Golden, Manifest, Variant

GOLDEN = "golden"


def add_file(folder: Path, name: str, content: bytes) -> None:
    """Write a file into a bundle and name it in the manifest; one of that name is replaced.

    Raises:
        BadInput: the folder cannot be written to.
    """
    bundle = read_bundle(folder)
    files = tuple(dict.fromkeys((*bundle.manifest.files, name)))
    _written(folder, lambda: (folder / name).write_bytes(content))
    _write_manifest(folder, msgspec.structs.replace(bundle.manifest, files=files))


def add_variant(folder: Path, variant: Variant, content: bytes) -> None:
    """Write a model file into a bundle as its last variant.

    Raises:
        BadInput: the bundle has such a file, or the folder cannot be written to.
    """
    bundle = read_bundle(folder)
    if (folder / variant.file).exists():
        raise BadInput(f"{folder / variant.file} is there already: name another file with --to")
    _written(folder, lambda: (folder / variant.file).write_bytes(content))
    variants = (*bundle.manifest.variants, variant)
    _write_manifest(folder, msgspec.structs.replace(bundle.manifest, variants=variants))


@contextmanager
def on_approval(folder: Path, variant: Variant, content: bytes) -> Iterator[None]:
    """The variant is in the bundle during the block, and stays where it ends well; else the bundle is what it was.

    Raises:
        BadInput: as `add_variant`.
    """
    before = (folder / MANIFEST).read_text(encoding="utf-8")
    add_variant(folder, variant, content)
    try:
        yield
    except BaseException:
        _write_text(folder, before)
        (folder / variant.file).unlink(missing_ok=True)
        raise


def add_golden(bundle: Bundle, samples: Samples, apart: Apart) -> None:
    """Make the bundle's golden vectors, in place of those that it has: what the first variant answers to samples.

    Raises:
        BadInput: the samples do not fit, or the folder cannot be written to.
        EngineFailed: the variant gave up on a sample.
    """
    folder, manifest = bundle.folder, bundle.manifest
    made = vectors_of(folder, manifest.variants[0].file, samples, apart)
    golden = manifest.golden or golden_of(manifest.task, _output_step(bundle, apart))
    _written(folder, lambda: _replace_golden(bundle, made))
    golden = msgspec.structs.replace(golden, vectors=Golden().vectors)
    _write_manifest(folder, msgspec.structs.replace(manifest, golden=golden))


def _output_step(bundle: Bundle, apart: Apart) -> float:
    return output_step(read_models([bundle.folder / one.file for one in bundle.manifest.variants], apart))


def _replace_golden(bundle: Bundle, vectors: list[bytes]) -> None:
    """The new ones are whole before an old one goes."""
    fresh = bundle.folder / f".{GOLDEN}"
    shutil.rmtree(fresh, ignore_errors=True)
    write_vectors(fresh, vectors)
    for old in bundle.golden:
        old.unlink()
    shutil.rmtree(bundle.folder / GOLDEN, ignore_errors=True)
    fresh.rename(bundle.folder / GOLDEN)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    _write_text(folder, manifest_toml(manifest))


def _write_text(folder: Path, text: str) -> None:
    def replaced() -> None:
        beside = folder / f".{MANIFEST}"
        beside.write_text(text, encoding="utf-8")
        beside.replace(folder / MANIFEST)

    _written(folder, replaced)


def _written(folder: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise BadInput(f"{folder} cannot be written to ({error.strerror})") from None
