"""Work on a model that nobody vouches for, in a confined child of this process: a crash is one line.

The child is a fork: it has what was imported, and prints where this process prints.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_node.cli.boundary import ended
from edge_node.engine.beside import weights_of
from edge_node.errors import BadInput, Exit, NearfieldError, Refused, WrongUsage
from edge_node.sandbox.confinement import Confinement

MOST_BYTES = 1 << 30
"""of an answer: a child that was taken over may tell more than there is memory"""
_COMPLAINTS: dict[int, type[NearfieldError]] = {kind.exit_code: kind for kind in (BadInput, WrongUsage, Refused)}


class _Answer(msgspec.Struct):
    """What a child tells: what it made, or the line of the error and its exit code."""

    made: bytes = b""
    complaint: str = ""
    exit_code: int = 0


def contained(work: Callable[[], int], model: Path, files: Iterable[Path]) -> int:
    """Do the work of a command in a child that reads nothing but the model and files, and writes none.

    Returns:
        The child's exit code.

    Raises:
        BadInput: the model took the child with it.
    """
    if sys.platform != "linux":
        return work()
    return _code(_forked(work, confinement_for(model, files)), str(model))


def answered(
    name: str, work: Callable[[], bytes], model: Path, files: Iterable[Path], scratch: Path | None = None
) -> bytes:
    """What work makes of a model, in a child as `contained`'s, which may keep files in `scratch` alone.

    Complaints are about the name.

    Raises:
        NearfieldError: what the work raised; BadInput where the model took the child with it.
    """
    if sys.platform != "linux":
        return work()
    reading, writing = os.pipe()
    confinement = msgspec.structs.replace(confinement_for(model, files), scratch=str(scratch or ""))
    child = _forked(lambda: _tell(work, writing), confinement)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read(MOST_BYTES)
    if _code(child, name) != Exit.DONE:
        raise BadInput(f"{name}: its process ended without an answer")
    answer = msgspec.msgpack.decode(told, type=_Answer)
    if answer.complaint:
        raise _COMPLAINTS.get(answer.exit_code, BadInput)(answer.complaint)
    return answer.made


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
    return [model, *weights_of(model)]


def _forked(work: Callable[[], int], confinement: Confinement) -> int:
    """The process id of a child that does the work, confined."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_confined(work, confinement))
    return child


def _tell(work: Callable[[], bytes], writing: int) -> int:
    try:
        answer = _Answer(made=work())
    except NearfieldError as error:
        answer = _Answer(complaint=str(error), exit_code=error.exit_code)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(msgspec.msgpack.encode(answer))
    return Exit.DONE


def _code(child: int, name: str) -> int:
    code = os.waitstatus_to_exitcode(_waited(child))
    if code < 0:
        raise BadInput(f"{name}: its process was killed by {signal.Signals(-code).name}: the model crashes its engine")
    return code


def _confined(work: Callable[[], int], confinement: Confinement) -> int:
    """In the child: the exit code, whatever happens, for the caller's code is not the child's to go on with."""
    from edge_node.capture.lifeline import die_with_parent
    from edge_node.sandbox.confine import confine

    try:
        die_with_parent()
        confine(confinement, writes=True)
        return ended(work)
    except BaseException:  # noqa: BLE001 - the last frame of this process: a traceback, then the end
        sys.excepthook(*sys.exc_info())
        return Exit.FAILED


def _waited(child: int) -> int:
    """The status that a child ends with. What interrupts this process ends it too: only Ctrl-C reaches both."""
    try:
        return os.waitpid(child, 0)[1]
    except KeyboardInterrupt:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
