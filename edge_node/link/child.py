"""Runs a short-lived child process that imports a heavy library, so that an idle agent pays for none of it.

The child reads one JSON document from standard input and answers with JSON lines; the last line is its answer. What
goes wrong in it comes as `Failed` and is raised here.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from edge_node.errors import NearfieldError, Refused, Stranger, Unanswered, Unreachable

T = TypeVar("T")

MAX_LINE = 8 * 1024 * 1024


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Why the child could not answer: one line."""

    kind: Literal["unreachable", "unanswered", "refused", "stranger", "failed"]
    line: str


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How many bytes there are now."""

    done: int


ERRORS: dict[str, type[NearfieldError]] = {
    "unreachable": Unreachable,
    "unanswered": Unanswered,
    "refused": Refused,
    "stranger": Stranger,
    "failed": NearfieldError,
}


async def ask(
    module: str, request: msgspec.Struct, answer: type[T], on_progress: Callable[[int], None] | None = None
) -> T:
    """The answer of a child, which is killed when the caller is cancelled.

    Args:
        module: what to run with `python -m`.
        request: what the child gets.
        answer: a tagged struct, the type of the last line.
        on_progress: called with the number of each `Progress` line.

    Raises:
        NearfieldError: what the child reported (`Unreachable`, `Refused`), or that it ended without an answer.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module),  # -P: what lies in the working directory is not imported
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )
    try:
        return await _converse(process, module, request, answer, on_progress)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _converse(
    process: asyncio.subprocess.Process,
    module: str,
    request: msgspec.Struct,
    answer: type[T],
    on_progress: Callable[[int], None] | None,
) -> T:
    if process.stdin is None or process.stdout is None:
        raise NearfieldError(f"{module} has no pipes")
    with contextlib.suppress(ConnectionError):  # a child that died at once: its missing answer tells
        process.stdin.write(msgspec.json.encode(request))
        process.stdin.close()
        await process.stdin.wait_closed()
    decoder = msgspec.json.Decoder(Progress | Failed | answer)
    async for line in process.stdout:
        message = decoder.decode(line)
        if isinstance(message, Failed):
            raise ERRORS[message.kind](message.line)
        if isinstance(message, answer):
            return message
        if isinstance(message, Progress) and on_progress is not None:
            on_progress(message.done)
    raise NearfieldError(f"{module} ended with code {await process.wait()} and without an answer: see the log")


def say(message: msgspec.Struct) -> None:
    """In the child: write one line."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()
