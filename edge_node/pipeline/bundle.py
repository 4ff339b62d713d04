"""Bundle folders and raw model files, opened: the door from a path to a `Runner`.

    runner = open_model(Path("mobilenet/"))                       # a folder with model.toml: its first variant
    runner = open_model(Path("model.tflite"), labels=Path("l.txt"))   # a raw file: its manifest is guessed

    bundle = read_bundle(folder)                                  # what a node does: the proven variant
    runner = open_variant(bundle, "model_int8.onnx", threads=1)

Where bundles come from and whether they are trusted is the store's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_node.engine.base import Session
from edge_node.engine.catalog import find, for_file
from edge_node.errors import BadInput
from edge_node.pipeline.labels import read_labels
from edge_node.pipeline.manifest import manifest_for
from edge_node.pipeline.postprocess import Options
from edge_node.pipeline.runner import Runner
from protos.admission.bundle import naming
from protos.admission.text import manifest_text
from protos.bundle import MANIFEST, Manifest, golden_files, missing_files, parse_manifest
from protos.errors import ContractError

Opened = Callable[[Path], Session]


@dataclass(frozen=True)
class Bundle:
    """A bundle folder that has been read: its manifest, the labels of its first labelled output, its golden files."""

    folder: Path
    manifest: Manifest
    labels: tuple[str, ...] = ()
    golden: tuple[Path, ...] = ()


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's manifest and labels, and check that its files are there.

    Raises:
        BadInput: no model.toml, a wrong one, a file that it names is missing, labels that are no text.
    """
    try:
        with (folder / MANIFEST).open("rb") as file, naming(MANIFEST, "a text in UTF-8"):
            manifest = parse_manifest(manifest_text(file))
    except OSError as error:
        raise BadInput(f"{folder / MANIFEST}: {error.strerror}: give a folder with a {MANIFEST}") from None
    except ContractError as error:
        raise BadInput(f"{folder}: {error}") from None
    present = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    missing = missing_files(manifest, present)
    if missing:
        raise BadInput(
            f"{folder / MANIFEST} names {missing[0]}, which is not in the folder: add it or correct the name"
        )
    golden = tuple(folder / path for path in golden_files(manifest, present))
    if manifest.golden is not None and not golden:
        raise BadInput(
            f"{folder / MANIFEST}: no golden vectors match {manifest.golden.vectors!r}: add them or drop [golden]"
        )
    labels = next((output.labels for output in manifest.outputs if output.labels is not None), None)
    return Bundle(folder, manifest, () if labels is None else read_labels(folder / labels), golden)


def open_variant(
    bundle: Bundle, file: str, *, threads: int = 1, options: Options | None = None, open_with: Opened | None = None
) -> Runner:
    """Load one variant of a bundle; `open_with` opens its file on something else than its engine and the processor.

    Raises:
        BadInput: not a variant of it, or it cannot run here.
    """
    variant = next((one for one in bundle.manifest.variants if one.file == file), None)
    if variant is None:
        names = ", ".join(one.file for one in bundle.manifest.variants)
        raise BadInput(f"{bundle.folder} has no variant {file!r}: it has {names}")
    path = bundle.folder / file
    session = find(variant.engine).open(path, threads=threads) if open_with is None else open_with(path)
    try:
        return Runner(session, bundle.manifest, bundle.labels, options)
    except BadInput:
        session.close()
        raise


def open_model(
    path: Path,
    *,
    labels: Path | None = None,
    variant: str | None = None,
    threads: int = 1,
    options: Options | None = None,
) -> Runner:
    """Load a bundle folder (the variant named, or its first) or a raw model file with a guessed manifest.

    Raises:
        BadInput: nothing there, not a model, labels of the wrong length, an engine that is not installed.
    """
    if path.is_dir():
        bundle = read_bundle(path)
        return open_variant(bundle, variant or bundle.manifest.variants[0].file, threads=threads, options=options)
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder: give a bundle folder, a .tflite or an .onnx file")
    names = () if labels is None else read_labels(labels)
    engine = for_file(path)
    session = engine.open(path, threads=threads)
    try:
        manifest = manifest_for(
            path.name, engine.name, session.inputs, session.outputs, labels.name if labels else None
        )
        return Runner(session, manifest, names, options)
    except BadInput:
        session.close()
        raise
