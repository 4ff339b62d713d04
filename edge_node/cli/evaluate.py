"""`edge-node bundle evaluate`: how good a bundle's variants are on labelled samples, as a table, JSON and a page."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.cli.options import positive
from edge_node.cli.table import table
from edge_node.errors import BadInput, Exit, Refused
from protos.digest import Digest, digest_of
from protos.errors import ContractError
from protos.evaluation import EVALUATION, Evaluation, Requirement, VariantScore, parse_requirement, unmet

if TYPE_CHECKING:
    from edge_node.evaluation.dataset import Dataset
    from edge_node.evaluation.judge import Judged
    from edge_node.evaluation.measures import Case, Measure
    from edge_node.pipeline.bundle import Bundle
    from edge_node.pipeline.runner import Runner, Sample
    from protos.bundle import Variant


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("evaluate", help="accuracy and latency of a bundle's variants on labelled samples")
    parser.add_argument("folder", type=Path, help="of the bundle, with a model.toml")
    parser.add_argument(
        "dataset", type=Path, help="a folder of folders named by labels, or with labels.csv or annotations.json (COCO)"
    )
    parser.add_argument("--variant", metavar="FILE", help="only this file of the bundle")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N samples")
    parser.add_argument(
        "--require", action="append", default=[], metavar="R", help="accuracy>=0.9, p95_ms<=50, …: else exit code 4"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument("--keep", action="store_true", help=f"add {EVALUATION} to the bundle, for who requires it")
    parser.add_argument(
        "--golden", type=positive, metavar="N", help="make N golden vectors of samples that were answered rightly"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate a bundle."""
    from edge_node.evaluation.dataset import read_dataset
    from edge_node.pipeline.bundle import read_bundle

    required = [_requirement(text) for text in arguments.require]
    bundle, dataset = read_bundle(arguments.folder), read_dataset(arguments.dataset)
    evaluation, cases = evaluated(bundle, dataset, arguments.variant, arguments.limit)
    if arguments.html is not None:
        _write_page(arguments.html, evaluation, cases)
    if arguments.golden is not None:
        _make_golden(bundle, cases[0], arguments.golden)
    if arguments.keep:
        _keep(arguments.folder, evaluation)
    print(msgspec.json.encode(evaluation).decode() if arguments.json else shown(evaluation))
    failed = _unmet(evaluation, required)
    if failed:
        raise Refused("; ".join(failed))
    return Exit.DONE


def evaluated(
    bundle: "Bundle", dataset: "Dataset", only: str | None = None, limit: int | None = None
) -> tuple[Evaluation, "list[tuple[Case, ...]]"]:
    """What the variants of a bundle are worth, and all their answers.

    Raises:
        BadInput: the task has no measure, the dataset does not fit the model, or a variant cannot run here.
    """
    from edge_node.evaluation.summary import score_of
    from edge_node.telemetry.system import hardware

    measure = _measure(bundle, dataset)
    wanted = _wanted(bundle, only)
    judged = [_judged(bundle, variant, dataset, limit) for variant in wanted]
    scores = tuple(
        score_of(variant.file, _digest(bundle.folder / variant.file), variant.engine, one.cases, measure)
        for variant, one in zip(wanted, judged, strict=True)
    )
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    evaluation = Evaluation(measure.name, dataset.name, dataset.digest, now, hardware(), scores)
    return evaluation, [one.cases for one in judged]


def shown(evaluation: Evaluation) -> str:
    """For people: a table of the variants, and the worst slices and classes."""
    headings = ("variant", "engine", "samples", evaluation.measure, "worst slice", "worst class")
    rows = [_cells(one) for one in evaluation.variants]
    return table((*headings, "p50 ms", "p95 ms", "p99 ms"), rows, right=frozenset((2, 3, 6, 7, 8)))


def _cells(one: VariantScore) -> tuple[str, ...]:
    slices = min(one.slices, key=lambda found: found.score, default=None)
    classes = min(one.classes, key=lambda found: found.value, default=None)
    return (
        one.file,
        one.engine,
        f"{one.samples}" if not one.failed else f"{one.samples} ({one.failed} failed)",
        f"{one.score:.4f}",
        "" if slices is None else f"{slices.by}={slices.value} {slices.score:.3f}",
        "" if classes is None else f"{classes.label} {classes.value:.3f}",
        *(f"{value:.1f}" for value in (one.p50_ms, one.p95_ms, one.p99_ms)),
    )


def _measure(bundle: "Bundle", dataset: "Dataset") -> "Measure":
    from edge_node.evaluation.measures import MEASURES
    from protos.bundle import Task

    task = bundle.manifest.task
    if task not in MEASURES:
        known = ", ".join(MEASURES)
        raise BadInput(f"{bundle.folder}: there is no measure for {task} models: it can be one of {known}")
    if dataset.has_boxes is not (task is Task.DETECTION):
        needed = "boxes: annotations.json" if task is Task.DETECTION else "labels: labels.csv"
        raise BadInput(f"{dataset.name}: a {task} model needs {needed}")
    if task is Task.CLASSIFICATION and bundle.labels:
        _check_labels(bundle.labels, dataset)
    return MEASURES[task]


def _check_labels(labels: Sequence[str], dataset: "Dataset") -> None:
    from edge_node.cli.parser import nearest

    unknown = next((one for one in dataset.samples if one.label not in labels), None)
    if unknown is not None:
        raise BadInput(f"{unknown.file}: the model has no label {unknown.label!r}{nearest(unknown.label, labels)}")


def _wanted(bundle: "Bundle", only: str | None) -> "tuple[Variant, ...]":
    found = tuple(one for one in bundle.manifest.variants if only in (None, one.file))
    if not found:
        names = ", ".join(one.file for one in bundle.manifest.variants)
        raise BadInput(f"{bundle.folder} has no variant {only!r}: it has {names}")
    return found


def _judged(bundle: "Bundle", variant: "Variant", dataset: "Dataset", limit: int | None) -> "Judged":
    """In a confined child: nobody vouches for the model."""
    from edge_node.cli.contained import answered
    from edge_node.evaluation.judge import Judged, judge

    samples = dataset.samples[:limit]
    work = partial(_work, partial(judge, bundle.folder, variant.file, samples, samples_of), variant.file, len(samples))
    told = answered(variant.file, work, bundle.folder, sorted({one.file.parent for one in samples}))
    judged = msgspec.msgpack.decode(told, type=Judged)
    if judged.error:
        raise BadInput(f"{variant.file}: {judged.error}")
    if not judged.cases:
        raise BadInput(f"{dataset.name} has no samples")
    return judged


def _work(judge: "Callable[[Callable[[int], None]], Judged]", name: str, total: int) -> bytes:
    from edge_node.cli.progress import Progress
    from edge_node.telemetry.remaining import Remaining

    remaining = Remaining(total)
    with Progress() as progress:
        return msgspec.msgpack.encode(judge(lambda done: progress.show(f"{name}: {remaining.text(done)}")))


def samples_of(file: Path, runner: "Runner") -> "Iterator[Sample]":
    """The samples of one file.

    Raises:
        BadInput: it is not there, or does not fit the model.
    """
    from edge_node.cli.samples import samples

    return samples([str(file)], runner)


def _digest(file: Path) -> Digest:
    return digest_of(file.read_bytes())


def _write_page(file: Path, evaluation: Evaluation, cases: "Sequence[Sequence[Case]]") -> None:
    from edge_node.evaluation.page import page

    try:
        file.write_text(page(evaluation, cases), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written ({error.strerror}): name another file with --html") from None


def _make_golden(bundle: "Bundle", cases: "Sequence[Case]", most: int) -> None:
    from edge_node.authoring.addition import add_golden
    from edge_node.cli.contained import answered
    from edge_node.cli.samples import samples
    from edge_node.evaluation.summary import golden_files

    files = [Path(file) for file in golden_files(cases, most)]
    if not files:
        raise BadInput(f"{bundle.folder}: no sample was answered rightly, and golden vectors are made of such")

    apart = partial(answered, files=sorted({file.parent for file in files}))
    add_golden(bundle, partial(samples, [str(file) for file in files]), apart)
    print(f"golden vectors of {len(files)} samples in {bundle.folder}/golden", file=sys.stderr)


def _keep(folder: Path, evaluation: Evaluation) -> None:
    from edge_node.authoring.addition import add_file

    add_file(folder, EVALUATION, msgspec.json.format(msgspec.json.encode(evaluation), indent=1))


def _requirement(text: str) -> Requirement:
    try:
        return parse_requirement(text)
    except ContractError as error:
        raise BadInput(str(error)) from None


def _unmet(evaluation: Evaluation, required: Sequence[Requirement]) -> tuple[str, ...]:
    try:
        return unmet(evaluation, required)
    except ContractError as error:
        raise BadInput(str(error)) from None
