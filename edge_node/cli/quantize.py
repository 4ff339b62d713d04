"""`edge-node bundle quantize`: a float `.onnx` variant made INT8, judged against the original, added to the bundle."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.cli.evaluate import evaluated, samples_of
from edge_node.cli.options import positive
from edge_node.cli.table import table
from edge_node.errors import BadInput, Exit, Refused
from protos.bundle import Variant
from protos.evaluation import Evaluation, VariantScore

if TYPE_CHECKING:
    from edge_node.engine.base import Array
    from edge_node.engine.proof import VariantProof
    from edge_node.engine.quantizing import Quantizing
    from edge_node.evaluation.dataset import Dataset, Labelled
    from edge_node.pipeline.bundle import Bundle

SAMPLES = 100
"""that ranges are taken from, unless asked otherwise"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("quantize", help="add an INT8 variant of a bundle's float .onnx model")
    parser.add_argument("folder", type=Path, help="of the bundle, with a model.toml")
    parser.add_argument("dataset", type=Path, help="samples like those that it will see; labelled as for evaluate")
    parser.add_argument("--variant", metavar="FILE", help="the float .onnx file (the only one)")
    parser.add_argument("--to", metavar="FILE", help="what the new variant is called (…_int8.onnx)")
    parser.add_argument("--samples", type=positive, default=SAMPLES, metavar="N", help=f"for the ranges ({SAMPLES})")
    parser.add_argument(
        "--method", choices=("minmax", "entropy", "percentile"), default="minmax", help="of the ranges (minmax)"
    )
    parser.add_argument("--per-tensor", action="store_true", help="one scale for all channels of a weight")
    parser.add_argument("--reduce-range", action="store_true", help="weights of 7 bits, for x86 without VNNI")
    parser.add_argument("--force", action="store_true", help="keep it though it disagrees with the golden vectors")
    parser.add_argument("--json", action="store_true", help="as a JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Quantize a variant of a bundle."""
    from edge_node.authoring.addition import on_approval
    from edge_node.cli.proving import prove_apart
    from edge_node.evaluation.dataset import read_dataset
    from edge_node.pipeline.bundle import read_bundle

    bundle, dataset = read_bundle(arguments.folder), read_dataset(arguments.dataset)
    original = float_variant(bundle, arguments.variant)
    added = Variant(arguments.to or f"{Path(original).stem}_int8.onnx", "onnxruntime")
    content = _made(bundle, original, _spread(dataset, arguments.samples), _how(arguments))
    with on_approval(arguments.folder, added, content):
        (proof,) = prove_apart(arguments.folder, (added,))
        _check(proof, force=arguments.force)
        compared = _compared(read_bundle(arguments.folder), dataset, (original, added.file))
    sizes = {file: (arguments.folder / file).stat().st_size for file in (original, added.file)}
    print(_json(compared, sizes) if arguments.json else _shown(compared, sizes, proof))
    return Exit.DONE


def float_variant(bundle: "Bundle", named: str | None) -> str:
    """The file to quantize.

    Raises:
        BadInput: the bundle has none such, or several and none was named.
    """
    files = [one.file for one in bundle.manifest.variants if one.engine == "onnxruntime"]
    if named is not None and named not in files:
        raise BadInput(f"{bundle.folder} has no .onnx variant {named!r}: it has {', '.join(files) or 'none'}")
    if named is None and len(files) != 1:
        raise BadInput(f"{bundle.folder} has {len(files)} .onnx variants: name the float one with --variant FILE")
    return named or files[0]


def _how(arguments: argparse.Namespace) -> "Quantizing":
    from edge_node.engine.quantizing import Quantizing

    return Quantizing(arguments.method, not arguments.per_tensor, arguments.reduce_range)


def _spread(dataset: "Dataset", most: int) -> "Sequence[Labelled]":
    """As many samples as are wanted, from all over the dataset: it may be sorted by label."""
    step = max(1, len(dataset.samples) // most)
    return dataset.samples[::step][:most]


def _made(bundle: "Bundle", variant: str, samples: "Sequence[Labelled]", how: "Quantizing") -> bytes:
    """The quantized file, made in a confined child."""
    from edge_node.cli.contained import answered

    with tempfile.TemporaryDirectory(prefix="nearfield-quantize-") as folder:
        scratch = Path(folder)
        work = partial(_work, bundle, variant, samples, how, scratch)
        return answered(variant, work, bundle.folder, sorted({one.file.parent for one in samples}), scratch)


def _work(bundle: "Bundle", variant: str, samples: "Sequence[Labelled]", how: "Quantizing", scratch: Path) -> bytes:
    from edge_node.engine.quantizing import quantized

    return quantized(bundle.folder / variant, _feeds(bundle, variant, samples), how, scratch)


def _feeds(bundle: "Bundle", variant: str, samples: "Sequence[Labelled]") -> "Iterator[dict[str, Array]]":
    """What the model is given for each sample: prepared as it will be in service."""
    from edge_node.cli.progress import Progress
    from edge_node.pipeline.bundle import open_variant
    from edge_node.telemetry.remaining import Remaining

    remaining = Remaining(len(samples))
    with Progress() as progress, closing(open_variant(bundle, variant)) as runner:
        for done, labelled in enumerate(samples):
            progress.show(f"{variant}: {remaining.text(done)}")
            for sample in islice(samples_of(labelled.file, runner), 1):
                yield dict(runner.feeds(runner.prepare(sample)))


def _check(proof: "VariantProof", *, force: bool) -> None:
    from edge_node.authoring.check import complaint

    if proof.agrees or (force and not proof.error):
        return
    raise Refused(f"{complaint(proof)}; try --method percentile or entropy, more --samples, or --force")


def _compared(bundle: "Bundle", dataset: "Dataset", files: tuple[str, str]) -> Evaluation:
    found = [evaluated(bundle, dataset, file)[0] for file in files]
    return msgspec.structs.replace(found[0], variants=tuple(one.variants[0] for one in found))


def _shown(compared: Evaluation, sizes: dict[str, int], proof: "VariantProof") -> str:
    headings = ("variant", "size", compared.measure, "p50 ms", "p95 ms", "p99 ms")
    rows = [_row(one, sizes[one.file]) for one in compared.variants]
    before, after = compared.variants
    rows.append(
        (
            "÷ original",
            f"{sizes[after.file] / sizes[before.file]:.2f}",
            f"{after.score - before.score:+.4f}",
            *(
                f"{late / early:.2f}" if early else ""
                for early, late in zip(_times(before), _times(after), strict=True)
            ),
        )
    )
    agreement = "" if proof.agreement is None else f", agreement {proof.agreement:.4g} of {proof.tolerance:.4g}"
    proven = f"proven on {proof.vectors} golden vectors{agreement}" if proof.vectors else "no golden vectors"
    return f"{table(headings, rows, right=frozenset(range(1, 6)))}\nAdded {after.file}: {proven}."


def _row(one: VariantScore, size: int) -> tuple[str, ...]:
    return (one.file, f"{size / 2**20:.2f} MiB", f"{one.score:.4f}", *(f"{value:.1f}" for value in _times(one)))


def _times(one: VariantScore) -> tuple[float, float, float]:
    return one.p50_ms, one.p95_ms, one.p99_ms


def _json(compared: Evaluation, sizes: dict[str, int]) -> str:
    return msgspec.json.encode({"evaluation": compared, "bytes": sizes}).decode()
