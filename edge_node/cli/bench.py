"""`edge-node bench`: how fast a model is here, for every engine, variant and number of threads that can run it."""

import argparse
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.cli.measure import Job, Measurement
from edge_node.cli.options import ENGINES, milliseconds, positive_number, thread_count
from edge_node.cli.progress import Progress
from edge_node.cli.table import table
from edge_node.cli.trial import how_it_ended
from edge_node.errors import BadInput, Exit, WrongUsage
from edge_node.rungs import ALSO

STARTUP_S = 120.0
"""How much longer than its measuring time a child may take."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("bench", help="latency, throughput, load time and memory of a model here")
    parser.add_argument("model", help="a bundle folder, a .tflite or an .onnx file")
    parser.add_argument("--seconds", type=positive_number, default=3.0, metavar="N", help="of each measurement (3)")
    parser.add_argument("--threads", type=counts, metavar="N[,N]", help="of the engine (1 and as many as cores)")
    parser.add_argument("--variant", metavar="FILE", help="only this file of a bundle")
    parser.add_argument("--engine", choices=(*ENGINES, *ALSO), help="only this engine")
    parser.add_argument("--json", action="store_true", help="as a JSON document")
    tuning = parser.add_argument_group("how it is served fastest here")
    tuning.add_argument(
        "--tune", action="store_true", help="find the best threads, instances and batches, and keep them"
    )
    tuning.add_argument("--slo-p95", type=milliseconds, default=50.0, metavar="TIME", help="of a run (50ms)")
    tuning.add_argument("--forget", action="store_true", help="with --tune: forget what was kept")
    tuning.add_argument("--state-dir", type=Path, metavar="D", help="the node that it is kept for (`edge-node serve`)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure every combination, one after the other, each in a process of its own."""
    from edge_node.telemetry.system import cores

    if arguments.forget and not arguments.tune:
        raise WrongUsage("--forget is for what --tune has kept: give both")
    if arguments.tune:
        from edge_node.cli import tune

        return tune.run(arguments)
    jobs = list(_jobs(arguments, arguments.threads or sorted({1, cores()})))
    refuse_hostile(Path(arguments.model), {(job.variant, job.engine) for job in jobs})
    measured = []
    with Progress() as progress:
        for number, job in enumerate(jobs, 1):
            progress.show(f"{number} of {len(jobs)}: {job.variant} on {job.engine}, threads: {job.threads}")
            measured.append(_measured(job))
    if all(one.error for one in measured):
        raise BadInput(measured[0].error)
    print(msgspec.json.encode(measured).decode() if arguments.json else measurement_table(measured))
    return Exit.DONE


def refuse_hostile(model: Path, variants: Iterable[tuple[str, str]]) -> None:
    """Stop before any measuring where a file is hostile; what is merely broken is told in its place of the table."""
    from edge_node.engine.admission import admit

    for file, engine in variants:
        with suppress(BadInput):
            admit(model / file if model.is_dir() else model, engine)


def _jobs(arguments: argparse.Namespace, threads: Iterable[int]) -> Iterable[Job]:
    variants = variants_of(Path(arguments.model), arguments.variant, arguments.engine)
    return (
        Job(arguments.model, file, engine, count, arguments.seconds) for file, engine in variants for count in threads
    )


def variants_of(model: Path, variant: str | None, engine: str | None) -> list[tuple[str, str]]:
    """The files of a model that are meant, and the engine of each.

    Raises:
        BadInput: there are none.
    """
    found = [(file, one) for file, one in _variants(model) if variant in (None, file) and engine in (None, one)]
    if not found:
        raise BadInput(f"{model} has no variant {variant or f'for {engine}'}")
    return found


def _variants(model: Path) -> list[tuple[str, str]]:
    """The files of the model and the engine of each."""
    from edge_node.engine.catalog import engine_name
    from edge_node.pipeline.bundle import read_bundle

    if model.is_dir():
        return [(variant.file, variant.engine) for variant in read_bundle(model).manifest.variants]
    if not model.exists():
        raise BadInput(f"{model}: no such file or folder: give a bundle folder, a .tflite or an .onnx file")
    return [(model.name, engine_name(model))]


def _measured(job: Job) -> Measurement:
    command = [sys.executable, "-m", "edge_node.cli.measure", msgspec.json.encode(job).decode()]
    failed = Measurement(job.variant, job.engine, job.threads)
    try:
        done = subprocess.run(command, capture_output=True, timeout=job.seconds + STARTUP_S, check=False)
    except subprocess.TimeoutExpired:
        return msgspec.structs.replace(failed, error=f"{job.variant} did not answer on {job.engine}")
    if done.returncode != 0:
        how = how_it_ended(done.returncode, done.stderr.decode(errors="replace"))
        return msgspec.structs.replace(failed, error=f"{job.variant} on {job.engine}: {how}")
    return msgspec.json.decode(done.stdout, type=Measurement)


def measurement_table(measured: Sequence[Measurement]) -> str:
    """The measurements for people; below them what could not run."""
    headings = (
        "variant",
        "engine",
        "on",
        "threads",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "infer p50",
        "per s",
        "load ms",
        "MB",
    )
    rows = [
        (
            *(one.variant, f"{one.engine} {one.engine_version}", one.accelerator, str(one.threads)),
            *(f"{value:.2f}" for value in (one.p50_ms, one.p95_ms, one.p99_ms, one.infer_p50_ms)),
            *(f"{value:.1f}" for value in (one.per_second, one.load_ms, one.memory_mb)),
        )
        for one in measured
        if not one.error
    ]
    failures = [f"{one.variant} on {one.engine}, threads: {one.threads}: {one.error}" for one in measured if one.error]
    return "\n".join([table(headings, rows, right=frozenset(range(3, 11))), *failures])


def counts(text: str) -> tuple[int, ...]:
    """`1` or `1,2,4`."""
    return tuple(map(thread_count, text.split(",")))
