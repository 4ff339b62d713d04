"""The process that makes a model's compiled form, confined like a worker, and writes it to its standard output, a pipe.

    python -m edge_node.worker.compiling CONFINEMENT JOB      # both as JSON

It ends when that is done, and touches nothing else: a model that is compiled may be hostile.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.capture.lifeline import die_with_parent
from edge_node.engine.compiled import Job
from edge_node.errors import Exit, NearfieldError
from edge_node.sandbox.confine import confine
from edge_node.sandbox.confinement import Confinement

POLITE = 10
"""Added to the nice value: what runs goes before what is made for the next start."""


def main(arguments: list[str]) -> int:
    """Compile and write; the exit code says whether there is anything to use."""
    die_with_parent()
    os.nice(POLITE)
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no form
    try:
        confine(msgspec.json.decode(arguments[0], type=Confinement))
        form = compiled(msgspec.json.decode(arguments[1], type=Job))
    except NearfieldError as error:
        os.write(sys.stderr.fileno(), f"{error}\n".encode())
        return Exit.FAILED
    left = memoryview(form)
    with suppress(BrokenPipeError):
        while left:
            left = left[os.write(output, left) :]
    return Exit.DONE


def compiled(job: Job) -> bytes:
    """The form; empty where the engine has none.

    Raises:
        BadInput, Refused: the model cannot be loaded.
    """
    from edge_node.engine.catalog import find

    session = find(job.rung.engine).open(Path(job.model), threads=job.threads, rung=job.rung)
    exported = getattr(session, "exported", bytes)
    return bytes(exported())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
