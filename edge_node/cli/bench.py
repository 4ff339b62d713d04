"""`edge-node bench`: how fast a model is here, for every engine, variant and number of threads that can run it."""

import argparse
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.cli.measure import Job, Measurement
from edge_node.cli.options import ENGINES, positive_number, thread_count
from edge_node.cli.progress import Progress
from edge_node.cli.table import table
from edge_node.cli.trial import how_it_ended
from edge_node.errors import BadInput, Exit

STARTUP_S = 120.0
"""How much longer than its measuring time a child may take."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("bench", help="latency, throughput, load time and memory of a model here")
    parser.add_argument("model", help="a bundle folder, a .tflite or an .onnx file")
    parser.add_argument("--seconds", type=positive_number, default=3.0, metavar="N", help="of each measurement (3)")
    parser.add_argument("--threads", type=counts, metavar="N[,N]", help="of the engine (1 and as many as cores)")
    parser.add_argument("--variant", metavar="FILE", help="only this file of a bundle")
    parser.add_argument("--engine", choices=ENGINES, help="only this engine")
    parser.add_argument("--json", action="store_true", help="as a JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure every combination, one after the other, each in a process of its own."""
    from edge_node.telemetry.system import cores

    jobs = list(_jobs(arguments, arguments.threads or sorted({1, cores()})))
    _refuse_hostile(jobs)
    measured = []
    with Progress() as progress:
        for number, job in enumerate(jobs, 1):
            progress.show(f"{number} of {len(jobs)}: {job.variant} on {job.engine}, threads: {job.threads}")
            measured.append(_measured(job))
    if all(one.error for one in measured):
        raise BadInput(measured[0].error)
    print(msgspec.json.encode(measured).decode() if arguments.json else measurement_table(measured))
    return Exit.DONE


def _refuse_hostile(jobs: Iterable[Job]) -> None:
    """Stop before any measuring where a file is hostile; what is merely broken is told in its place of the table."""
    from edge_node.engine.admission import admit

    for job in jobs:
        path = Path(job.model)
        with suppress(BadInput):
            admit(path / job.variant if path.is_dir() else path, job.engine)


def _jobs(arguments: argparse.Namespace, threads: Iterable[int]) -> Iterable[Job]:
    variants = [
        (file, engine)
        for file, engine in _variants(Path(arguments.model))
        if arguments.variant in (None, file) and arguments.engine in (None, engine)
    ]
    if not variants:
        raise BadInput(f"{arguments.model} has no variant {arguments.variant or 'for ' + arguments.engine}")
    return (
        Job(arguments.model, file, engine, count, arguments.seconds) for file, engine in variants for count in threads
    )


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
