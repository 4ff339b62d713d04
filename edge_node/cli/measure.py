"""One variant on one engine with one number of threads, measured: `python -m edge_node.cli.measure …`.

A process of its own, so that its memory is that of this combination alone and a crash costs nothing else. Prints a
`Measurement` as JSON.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.errors import Exit, NearfieldError

if TYPE_CHECKING:
    from edge_node.pipeline.runner import Runner


class Job(msgspec.Struct, frozen=True):
    """What is measured, for how long."""

    model: str
    variant: str
    engine: str
    threads: int
    seconds: float


class Measurement(msgspec.Struct, frozen=True):
    """What was found. Latencies are milliseconds of one sample with pre- and postprocessing; `infer` without."""

    variant: str
    engine: str
    threads: int
    engine_version: str = ""
    accelerator: str = ""
    runs: int = 0
    load_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    infer_p50_ms: float = 0.0
    per_second: float = 0.0
    memory_mb: float = 0.0
    error: str = ""


def measure(job: Job) -> Measurement:
    """Load, warm and run for the time given."""
    from edge_node.engine.catalog import find
    from edge_node.pipeline.bundle import open_model

    blank = Measurement(job.variant, job.engine, job.threads)
    try:
        find(job.engine)  # its import is not the model's load time
        begun = time.perf_counter()
        variant = job.variant if Path(job.model).is_dir() else None
        runner = open_model(Path(job.model), variant=variant, threads=job.threads)
        load_ms = (time.perf_counter() - begun) * 1e3
        total, infer = _run(runner, job.seconds)
    except NearfieldError as error:
        return msgspec.structs.replace(blank, error=str(error))
    return _summed(blank, runner, load_ms, total, infer)


def _run(runner: "Runner", seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds of whole runs, and of the engine's part of them."""
    runner.warm()
    example = runner.example()
    total: list[float] = []
    infer: list[float] = []
    end = time.perf_counter() + seconds
    while not total or time.perf_counter() < end:
        answer = runner.run(example)
        total.append(answer.preprocess_ms + answer.infer_ms + answer.postprocess_ms)
        infer.append(answer.infer_ms)
    return total, infer


def _summed(
    blank: Measurement, runner: "Runner", load_ms: float, total: list[float], infer: list[float]
) -> Measurement:
    from edge_node.pipeline.latency import percentile
    from edge_node.telemetry.system import pss_kb

    return msgspec.structs.replace(
        blank,
        engine_version=runner.session.engine_version,
        accelerator=runner.session.accelerator,
        runs=len(total),
        load_ms=round(load_ms, 3),
        p50_ms=round(percentile(total, 50), 3),
        p95_ms=round(percentile(total, 95), 3),
        p99_ms=round(percentile(total, 99), 3),
        infer_p50_ms=round(percentile(infer, 50), 3),
        per_second=round(1e3 * len(total) / sum(total), 1),
        memory_mb=round((pss_kb() or 0) / 1024, 1),
    )


def main(argument: str) -> int:
    """Measure, confined, and print."""
    from edge_node.cli.contained import confinement_for
    from edge_node.sandbox.confine import confine

    job = msgspec.json.decode(argument, type=Job)
    confine(confinement_for(Path(job.model)), writes=True)
    print(msgspec.json.encode(measure(job)).decode())
    return Exit.DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
