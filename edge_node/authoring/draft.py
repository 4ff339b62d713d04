"""The manifest of one model from its files: what they say themselves, and the author's answers to the rest. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from edge_node.authoring.heads import OutputAnswers, answered_outputs
from edge_node.authoring.kinds import InputAnswers, answered_input
from edge_node.authoring.toml import manifest_toml
from edge_node.engine.base import TensorSpec
from edge_node.engine.feeds import shape_text
from edge_node.errors import BadInput, WrongUsage
from edge_node.pipeline.manifest import manifest_for
from protos.bundle import MANIFEST, Agree, Golden, Input, Manifest, Output, Slo, Task, Variant, parse_manifest
from protos.errors import ContractError


@dataclass(frozen=True)
class ModelFile:
    """One file of the model as its engine reads it; `file` is its name inside the bundle."""

    file: str
    engine: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Answers:
    """What the author said."""

    inputs: InputAnswers
    outputs: OutputAnswers
    p95_ms: float | None = None


def draft(name: str, files: Sequence[ModelFile], answers: Answers) -> Manifest:
    """The manifest of one model with these files as its variants.

    Raises:
        BadInput: the files are of different networks, or an answer is no value of its key.
        WrongUsage: something cannot be known from the files; names the option that says it.
    """
    first = files[0]
    for other in files[1:]:
        check_same_network(first, other)
    try:
        inputs, task, outputs = _answered(first, answers)
    except WrongUsage as error:
        raise WrongUsage(f"{first.file}: {error}") from None
    except BadInput as error:
        raise BadInput(f"{first.file}: {error}") from None
    manifest = Manifest(
        name=name,
        task=task,
        variants=tuple(msgspec.convert({"file": file.file, "engine": file.engine}, Variant) for file in files),
        inputs=_named(inputs, files),
        outputs=outputs if names_agree(files) else _without_names(outputs),
        slo=Slo(p95_ms=answers.p95_ms) if answers.p95_ms is not None else None,
    )
    try:
        return parse_manifest(manifest_toml(manifest))
    except ContractError as error:
        complaint = str(error).removeprefix(f"{MANIFEST}: ")  # which nobody has written yet
        raise BadInput(f"{first.file}: an answer about it cannot be: {complaint}") from None


def _answered(file: ModelFile, answers: Answers) -> tuple[tuple[Input, ...], Task, tuple[Output, ...]]:
    """What the file says and the author's answers."""
    guess = manifest_for(file.file, file.engine, file.inputs, file.outputs, answers.outputs.labels)
    pairs = zip(guess.inputs, file.inputs, strict=True)
    inputs = tuple(answered_input(entry, spec, answers.inputs) for entry, spec in pairs)
    if all(entry.kind in ("state", "constant") for entry in inputs):
        raise BadInput("no input is left that a source could fill")
    states = {entry.source for entry in inputs if entry.kind == "state"}
    results = [spec for spec in file.outputs if spec.name not in states]
    return inputs, *answered_outputs(guess, results, answers.outputs)


def golden_of(task: Task, output_step: float) -> Golden:
    """How golden vectors of a task are compared.

    Args:
        task: of the manifest.
        output_step: what one step of quantization is worth in the outputs, 0 for float outputs.
    """
    if task is Task.CLASSIFICATION:
        return Golden(agree=Agree.TOP1, tolerance=1.0)
    if task is Task.DETECTION:
        return Golden(agree=Agree.BOXES, tolerance=0.8)
    return Golden(agree=Agree.VALUES, tolerance=max(0.01, 3 * output_step))


def output_step(files: Sequence[ModelFile]) -> float:
    """The coarsest step of quantization of the files' outputs; 0 where all are float."""
    return max((spec.scale or 0.0 for file in files for spec in file.outputs), default=0.0)


def check_same_network(first: ModelFile, other: ModelFile) -> None:
    """Return if the files may be of one network: as many tensors, of as many values each.

    Raises:
        BadInput: they cannot be.
    """
    for what, mine, yours in (("input", first.inputs, other.inputs), ("output", first.outputs, other.outputs)):
        if sorted(map(_size, mine)) != sorted(map(_size, yours)):
            raise BadInput(
                f"{first.file} and {other.file} are not the same network: {what}s {_shapes(mine)} and {_shapes(yours)};"
                " make a bundle of each"
            )


def names_agree(files: Sequence[ModelFile]) -> bool:
    """Whether every file calls its tensors by the same names, so that the manifest may use them."""
    return len({frozenset(spec.name for spec in (*file.inputs, *file.outputs)) for file in files}) == 1


def _named(inputs: tuple[Input, ...], files: Sequence[ModelFile]) -> tuple[Input, ...]:
    """Inputs by name where there are several and every file has these names; else by position."""
    if len(inputs) > 1 and names_agree(files):
        return inputs
    if any(entry.kind == "state" for entry in inputs):
        names = " and ".join(file.file for file in files)
        raise BadInput(f"{names} name their tensors differently, and states are found by name: make a bundle of each")
    return tuple(msgspec.structs.replace(entry, name=None) for entry in inputs)


def _without_names(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    return tuple(msgspec.structs.replace(output, name=None, boxes=None, scores=None) for output in outputs)


def _size(spec: TensorSpec) -> int:
    """Values in a tensor, open axes left out."""
    size = 1
    for axis in spec.shape:
        size *= axis or 1
    return size


def _shapes(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(shape_text(spec.shape) for spec in specs)
