"""The demo's child processes: started with a log each, watched, and always ended.

Each child leads a process group of its own, so that Ctrl-C reaches the demo first and the demo ends them in order:
last started, first ended; SIGTERM, then SIGKILL to the whole group.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from coordinator.errors import NearfieldError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 8.0
LAST_LINES = 8


class PartFailed(NearfieldError):
    """A part of the demo ended or never got ready; the last lines of its log follow."""


@dataclass(frozen=True)
class Child:
    """A running part: its name for people, its process and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Children:
    """All parts that run now. Leaving the `with` block ends every one of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "TMPDIR": str(folder)}  # what a killed part leaves goes with the folder
        self._running: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self, name: str, module: str, *arguments: str) -> Child:
        """Start `python -m module arguments`; what it prints goes to a log file."""
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def run(self, name: str, module: str, *arguments: str, timeout_s: float = 60.0) -> bytes:
        """Run a command to its end; its standard output.

        Raises:
            PartFailed: it failed or took too long.
        """
        command = [sys.executable, "-m", module, *arguments]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise PartFailed(f"{name} did not end within {timeout_s:.0f} s") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "it wrote nothing"
            raise PartFailed(f"{name} failed with exit code {done.returncode}: {said}")
        return done.stdout

    def named(self, name: str) -> Child:
        """The running part of that name."""
        return next(child for child in self._running if child.name == name)

    def check(self) -> None:
        """Notice a part that ended.

        Raises:
            PartFailed: which one, and the last lines of its log.
        """
        for child in self._running:
            code = child.process.poll()
            if code is not None:
                raise failed(child, f"ended with exit code {code}")

    def end(self) -> None:
        """End every part, the newest first; a second signal does not cut it short. Idempotent."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
        try:
            while self._running:
                _end(self._running.pop())
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def failed(child: Child, what: str) -> PartFailed:
    """The error of a part, with the last lines of its log."""
    return PartFailed(f"{child.name} {what}; {_end_of(child.log)}")


def _end(child: Child) -> None:
    _signal(child, signal.SIGTERM)
    try:
        child.process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(child, signal.SIGKILL)
        child.process.wait()


def _signal(child: Child, number: signal.Signals) -> None:
    try:
        os.killpg(child.process.pid, number)
    except ProcessLookupError:
        return


def _end_of(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError as error:
        return f"its log cannot be read: {error.strerror}: did somebody remove {log.parent}?"
    return "\n    ".join(["the end of its log:", *lines[-LAST_LINES:]]) if lines else "its log is empty"
