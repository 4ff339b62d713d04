"""`edge-node bundle init | check | import | evaluate | quantize`: bundles made, verified, judged."""

import argparse
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.cli import evaluate, quantize
from edge_node.cli.options import add_answers, number, positive, positive_number
from edge_node.cli.table import table
from edge_node.errors import BadInput, Exit, Refused

if TYPE_CHECKING:
    from edge_node.authoring.build import Built, Order
    from edge_node.authoring.draft import ModelFile
    from edge_node.engine.base import TensorSpec
    from edge_node.engine.proof import VariantProof


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the commands."""
    parser = subparsers.add_parser("bundle", help="make and verify bundles: model files with their contract")
    commands = parser.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    init = commands.add_parser("init", help="make a bundle from .tflite and .onnx files of one network")
    init.add_argument("--name", required=True, help="of the model: a-z, 0-9, '-', '_', '.'")
    init.add_argument("files", nargs="+", metavar="FILE", help=".tflite and .onnx files; the first is the reference")
    _add_making(init)
    init.set_defaults(run=run_init)
    check = commands.add_parser("check", help="verify a bundle folder and prove its variants on this machine")
    check.add_argument("folder", help="with a model.toml")
    check.add_argument("--json", action="store_true", help="the proofs and problems as a JSON document")
    check.set_defaults(run=run_check)
    triton = commands.add_parser("import", help="make a bundle from a Triton-style model repository")
    triton.add_argument("repository", help="<repository>/<model>/<version>/model.*, or one model's folder")
    triton.add_argument("--model", help="which model of the repository")
    triton.add_argument("--version", type=positive, help="which version (the newest)")
    triton.add_argument("--name", help="of the bundle (that of the model)")
    _add_making(triton)
    triton.set_defaults(run=run_import)
    evaluate.register(commands)
    quantize.register(commands)


def _add_making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the bundle's folder, to be made")
    parser.add_argument("--labels", metavar="F", help="one label per line")
    parser.add_argument(
        "--golden", nargs="+", default=[], metavar="I", help="inputs that every device must answer alike"
    )
    parser.add_argument("--agree", choices=("top1", "boxes", "values"), help="how answers are compared")
    parser.add_argument("--tolerance", type=number, metavar="T", help="how much they may differ")
    parser.add_argument("--p95-ms", type=positive_number, default=50.0, metavar="MS", help="the latency target (50)")
    parser.add_argument("--force", action="store_true", help="write the bundle though its variants disagree")
    parser.add_argument("--json", action="store_true", help="the manifest and the proofs as a JSON document")
    add_answers(parser)


def run_init(arguments: argparse.Namespace) -> int:
    """Make a bundle from model files."""
    return _make(arguments, arguments.name, tuple(map(Path, arguments.files)), arguments.labels)


def run_import(arguments: argparse.Namespace) -> int:
    """Make a bundle from a Triton-style model repository."""
    from edge_node.authoring.triton import find_model
    from edge_node.pipeline.manifest import name_of

    found = find_model(Path(arguments.repository), arguments.model, arguments.version)
    labels = arguments.labels or found.labels
    return _make(arguments, arguments.name or name_of(f"{found.name}.model"), found.files, labels)


def run_check(arguments: argparse.Namespace) -> int:
    """Verify a bundle folder."""
    from edge_node.authoring.check import problems
    from edge_node.cli.proving import prove_apart
    from edge_node.pipeline.bundle import read_bundle

    folder = Path(arguments.folder)
    bundle = read_bundle(folder)
    proofs = prove_apart(folder, bundle.manifest.variants)
    present, links = _listing(folder)
    found = problems(bundle.manifest, present, links, proofs)
    if arguments.json:
        print(msgspec.json.encode({"bundle": str(folder), "proofs": proofs, "problems": found}).decode())
    else:
        print(proof_table(proofs))
    if found:
        more = f" (and {len(found) - 1} more: --json lists them)" if len(found) > 1 else ""
        raise BadInput(f"{folder}: {found[0]}{more}")
    return Exit.DONE


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """The files of a folder, and those of them that are links out of it."""
    files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    root = folder.resolve()
    outside = [path for path in files if not path.resolve().is_relative_to(root)]
    present, links = ([path.relative_to(folder).as_posix() for path in paths] for paths in (files, outside))
    return present, links


def _make(arguments: argparse.Namespace, name: str, files: tuple[Path, ...], labels: str | Path | None) -> int:
    from edge_node.authoring.build import build
    from edge_node.cli.contained import answered
    from edge_node.cli.proving import prove_apart
    from edge_node.cli.samples import samples

    order = _order(arguments, name, files, Path(labels) if labels else None)
    golden = partial(samples, arguments.golden) if arguments.golden else None
    try:
        built = build(order, golden, prove_apart, partial(answered, files=[*map(Path, arguments.golden)]))
    except OSError as error:
        raise BadInput(f"{order.output} cannot be written ({error.strerror}): name another folder with -o") from None
    try:
        _refuse_disagreement(built, force=arguments.force)
        built.finish(order.output)
    finally:
        shutil.rmtree(built.staging, ignore_errors=True)
    _report(built, order, as_json=arguments.json)
    return Exit.DONE


def _order(arguments: argparse.Namespace, name: str, files: tuple[Path, ...], labels: Path | None) -> "Order":
    from edge_node.authoring.build import Order
    from edge_node.cli.answers import answers_of
    from edge_node.pipeline.labels import read_labels
    from protos.bundle import Agree

    lines = () if labels is None else read_labels(labels)
    answers = answers_of(arguments, None if labels is None else labels.name, lines)
    agree = Agree(arguments.agree) if arguments.agree else None
    return Order(name, files, Path(arguments.output), answers, labels, agree, arguments.tolerance)


def _refuse_disagreement(built: "Built", *, force: bool) -> None:
    from edge_node.authoring.check import complaint

    bad = built.disagreeing
    if not bad or (force and not any(proof.error for proof in bad)):
        return
    print(proof_table(built.proofs))
    if any(proof.error for proof in bad):
        raise BadInput("; ".join(complaint(proof) for proof in bad if proof.error))
    reference = built.manifest.variants[0].file
    raise Refused(
        f"{complaint(bad[0])}: it is not the network of {reference}, or badly quantized; loosen --tolerance, or --force"
    )


def _report(built: "Built", order: "Order", *, as_json: bool) -> None:
    if as_json:
        document = {
            "bundle": str(order.output),
            "models": built.models,
            "manifest": built.manifest,
            "proofs": built.proofs,
        }
        print(msgspec.json.encode(document).decode())
        return
    print("\n".join(map(tensor_line, built.models)))
    print(proof_table(built.proofs))
    if built.manifest.golden is None:
        print("No golden vectors: nodes will report this version as unproven. Make them with --golden INPUT…")
    print(f"Wrote {order.output}/model.toml. Next: edgectl model push {order.output}")


def tensor_line(model: "ModelFile") -> str:
    """What a file takes and gives: names, types, shapes and quantization."""
    taken, given = (", ".join(map(tensor_text, specs)) for specs in (model.inputs, model.outputs))
    return f"{model.file}: {taken} -> {given}"


def tensor_text(spec: "TensorSpec") -> str:
    """`x uint8 [1, 224, 224, 3] = 0.0078125 * (q -128)`."""
    from edge_node.engine.feeds import shape_text

    quantized = "" if spec.scale is None else f" = {spec.scale:.6g} * (q {-(spec.zero_point or 0):+d})"
    return f"{spec.name} {spec.dtype} {shape_text(spec.shape)}{quantized}"


def proof_table(proofs: "Sequence[VariantProof]") -> str:
    """The proofs for people."""
    headings = ("variant", "engine", "agrees", "agreement", "vectors", "load ms", "p50 ms", "p95 ms")
    rows = [
        (
            proof.file,
            f"{proof.engine} {proof.engine_version}".strip(),
            "cannot run" if proof.error else "yes" if proof.agrees else "NO",
            "" if proof.agreement is None else f"{proof.agreement:.4g} of {proof.tolerance:.4g}",
            str(proof.vectors),
            *(f"{value:.1f}" for value in (proof.load_ms, proof.p50_ms, proof.p95_ms)),
        )
        for proof in proofs
    ]
    return table(headings, rows, right=frozenset((4, 5, 6, 7)))
