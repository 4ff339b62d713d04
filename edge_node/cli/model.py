"""From a command line to a loaded model: a bundle folder, or a raw model file with the author's answers."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_node.authoring.draft import ModelFile, draft
from edge_node.cli.answers import answers_of, refuse_answers
from edge_node.engine.catalog import engine_name, find, survey
from edge_node.errors import BadInput, WrongUsage
from edge_node.pipeline.bundle import Bundle, open_variant, read_bundle
from edge_node.pipeline.labels import read_labels
from edge_node.pipeline.manifest import name_of
from edge_node.pipeline.postprocess import Options
from edge_node.pipeline.runner import Runner
from protos.admission.text import manifest_text
from protos.bundle import MANIFEST, Manifest, Variant, parse_manifest
from protos.errors import ContractError

OVERRIDES = frozenset({"top_k", "score_threshold", "threshold"})
"""What may be said of a bundle at run time; the rest its model.toml says."""


def load(arguments: argparse.Namespace) -> Runner:
    """The model of `arguments.model`.

    Raises:
        BadInput: no such model, one that cannot run here, or something that its file does not say.
    """
    path = Path(arguments.model)
    if path.is_dir():
        return _from_bundle(path, arguments)
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder: give a bundle folder, a .tflite or an .onnx file")
    return _from_file(path, arguments)


def _from_bundle(folder: Path, arguments: argparse.Namespace) -> Runner:
    refuse_answers(arguments, OVERRIDES, f"{folder / MANIFEST} says it")
    if arguments.manifest:
        raise WrongUsage(f"--manifest is not taken here: {folder} has its own {MANIFEST}")
    bundle = read_bundle(folder)
    variant = chosen_variant(bundle, arguments.variant, arguments.engine, _usable)
    return open_variant(bundle, variant.file, threads=arguments.threads, options=_overrides(arguments))


def _usable(engine: str) -> bool:
    return not survey([engine])[0].missing


def chosen_variant(bundle: Bundle, file: str | None, engine: str | None, usable: Callable[[str], bool]) -> Variant:
    """The variant that is asked for, else the first whose engine is usable, else the first.

    Engines are asked after one by one, so that none is started for nothing.

    Raises:
        BadInput: the bundle has no such variant.
    """
    variants: Sequence[Variant] = bundle.manifest.variants
    fitting = [one for one in variants if file in (None, one.file) and engine in (None, one.engine)]
    if not fitting:
        has = ", ".join(f"{one.file} ({one.engine})" for one in variants)
        raise BadInput(f"{bundle.folder} has no variant {file or 'of engine ' + str(engine)}: it has {has}")
    return next((one for one in fitting if usable(one.engine)), fitting[0])


def _from_file(path: Path, arguments: argparse.Namespace) -> Runner:
    if arguments.variant:
        raise WrongUsage(f"{path} is one file, without variants: --variant is for bundles")
    engine = find(_engine_of(path, arguments.engine))
    lines = read_labels(Path(arguments.labels)) if arguments.labels else ()
    session = engine.open(path, threads=arguments.threads)
    try:
        if arguments.manifest:
            manifest = _read_manifest(Path(arguments.manifest))
        else:
            file = ModelFile(path.name, engine.name, session.inputs, session.outputs)
            labels = Path(arguments.labels).name if arguments.labels else None
            manifest = draft(name_of(path.name), [file], answers_of(arguments, labels, lines))
        return Runner(session, manifest, lines, _overrides(arguments))
    except BadInput:
        session.close()
        raise


def _engine_of(path: Path, asked: str | None) -> str:
    """The engine of a file, which follows from its suffix."""
    runs = engine_name(path)
    if asked not in (None, runs):
        raise WrongUsage(f"--engine {asked} does not run {path.suffix} files, {runs} does: leave --engine away")
    return runs


def _read_manifest(path: Path) -> Manifest:
    try:
        with path.open("rb") as file:
            return parse_manifest(manifest_text(file))
    except OSError as error:
        raise BadInput(f"--manifest {path}: {error.strerror}") from None
    except ContractError as error:
        raise BadInput(f"--manifest {path}: {error}") from None


def _overrides(arguments: argparse.Namespace) -> Options:
    return Options(arguments.top_k, arguments.score_threshold, arguments.threshold)
