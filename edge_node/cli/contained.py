"""Work on a model that nobody vouches for, in a confined child of this process: a crash is one line.

The child is a fork: it has what was imported, and prints where this process prints.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from edge_node.cli.boundary import ended
from edge_node.errors import BadInput, Exit
from edge_node.sandbox.confinement import Confinement


def contained(work: Callable[[], int], model: Path, files: Iterable[Path]) -> int:
    """Do the work of a command in a child that reads nothing but the model and files, and writes none.

    Returns:
        The child's exit code.

    Raises:
        BadInput: the model took the child with it.
    """
    if sys.platform != "linux":
        return work()
    confinement = confinement_for(model, files)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_confined(work, confinement))
    code = os.waitstatus_to_exitcode(_waited(child))
    if code < 0:
        raise BadInput(f"{model}: its process was killed by {signal.Signals(-code).name}: the model crashes its engine")
    return code


def confinement_for(model: Path, files: Iterable[Path] = ()) -> Confinement:
    """The confinement of a process that opens a model and reads other files."""
    from edge_node.sandbox.limits import default_memory_mb
    from edge_node.telemetry.system import memory_kb

    readable = tuple(str(path) for path in (*files_of(model), *files))
    return Confinement(readable=readable, memory_mb=default_memory_mb(memory_kb()))


def files_of(model: Path) -> list[Path]:
    """What a model consists of: a folder with what its links lead to, or a file and the weights beside it."""
    if model.is_dir():
        return [model, *(path.resolve() for path in model.rglob("*") if path.is_symlink())]
    if model.suffix.lower() != ".onnx" or not model.is_file():
        return [model]
    from edge_node.engine.onnx_file import read_onnx_facts

    folder = model.resolve().parent
    names: tuple[str, ...] = ()
    with suppress(BadInput):  # whoever opens it will say so
        names = read_onnx_facts(model).external
    beside = [(folder / name).resolve() for name in names]
    return [model, *(path for path in beside if path.is_relative_to(folder) and path.is_file())]


def _confined(work: Callable[[], int], confinement: Confinement) -> int:
    """In the child: the exit code, whatever happens, for the caller's code is not the child's to go on with."""
    from edge_node.capture.lifeline import die_with_parent
    from edge_node.sandbox.confine import confine

    try:
        die_with_parent()
        confine(confinement, writes=True)
        return ended(work)
    except BaseException:  # noqa: BLE001 - the last frame of this process: a traceback, then the end
        traceback.print_exc()
        return Exit.FAILED


def _waited(child: int) -> int:
    """The status that a child ends with; Ctrl-C reaches it too, and it is waited for."""
    while True:
        try:
            return os.waitpid(child, 0)[1]
        except KeyboardInterrupt:
            continue
