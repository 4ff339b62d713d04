"""`edge-node bench --tune`: the threads, instances and batches that a model serves fastest with here, kept.

What is tried and chosen is `repository.tuning`; what one process measures is `tried`.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.cli.progress import Progress
from edge_node.cli.table import table
from edge_node.cli.trial import how_it_ended
from edge_node.cli.tried import Candidate, Turn
from edge_node.errors import BadInput, Exit
from edge_node.repository.tuning import Arm, Measured, Tuned, Way, decide, go_on, times_of, ways_of

if TYPE_CHECKING:
    from edge_node.repository.found import Found
    from edge_node.repository.tuned import TunedWays
    from protos.digest import Digest

ROUNDS = 3
BAR = 20
"""characters"""


def run(arguments: argparse.Namespace) -> int:
    """Measure in rounds, choose, show, keep; or forget what was kept."""
    found = _found(Path(arguments.model))
    ways = _kept(arguments)
    if arguments.forget:
        print("forgotten" if ways.forget(_digest(found)) else f"{found.path} was not tuned here")
        return Exit.DONE
    with ExitStack() as stack:
        children = [stack.enter_context(_child(found.path, *one)) for one in _variants(arguments, found)]
        default, arms = _measured(children, _default_of(found, children), arguments)
    tuned = decide(arms, default, arguments.slo_p95)
    ways.keep(_digest(found), tuned.way, tuned.times, arguments.slo_p95, tuned.reason)
    print(_json(arms, tuned) if arguments.json else _text(arms, default, tuned))
    return Exit.DONE


@dataclass
class Child:
    """A process that measures the ways of one variant; `candidate` is what it said of it."""

    variant: str
    engine: str
    process: "subprocess.Popen[str]"
    candidate: Candidate

    def ask(self, turn: Turn) -> Measured | Candidate:
        """Measure; a candidate with an error where it cannot."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its end is read below
            self.process.stdin.write(msgspec.json.encode(turn).decode() + "\n")
            self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Measured | Candidate:
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return msgspec.json.decode(line, type=Measured | Candidate)
        _, told = self.process.communicate()
        return Candidate(error=how_it_ended(self.process.returncode, told))


@contextmanager
def _child(model: Path, variant: str, engine: str) -> Iterator[Child]:
    command = [sys.executable, "-m", "edge_node.cli.tried", str(model), variant, engine]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        child = Child(variant, engine, process, Candidate())
        try:
            said = child.answer()
            child.candidate = said if isinstance(said, Candidate) else Candidate(error="it did not say what it is")
            yield child
        finally:
            process.kill()


def _found(path: Path) -> "Found":
    """The one model at a path.

    Raises:
        BadInput: there is none, or there are several.
    """
    from edge_node.repository.found import find

    found = find((path,))
    if len(found) > 1:
        raise BadInput(f"{path} has {len(found)} models: name one: its file, or its bundle's folder")
    return found[0]


def _kept(arguments: argparse.Namespace) -> "TunedWays":
    from edge_node.engine.installed import engine_versions
    from edge_node.repository.tuned import FILE, TunedWays
    from edge_node.serve import cache_folder
    from edge_node.telemetry.system import hardware

    folder = arguments.state_dir or cache_folder()
    return TunedWays(folder / FILE).load(hardware(), engine_versions())


def _digest(found: "Found") -> "Digest":
    from edge_node.repository.tuned import read_digest

    return read_digest(found.folder, found.files)


def _variants(arguments: argparse.Namespace, found: "Found") -> list[tuple[str, str]]:
    """The files that are tried, each with its engine."""
    from edge_node.cli.bench import refuse_hostile, variants_of

    named = variants_of(found.path, arguments.variant, None)
    wanted = [one for one in _on_engines(named, found) if arguments.engine in (None, one[1])]
    if not wanted:
        raise BadInput(f"{found.path} has no variant for {arguments.engine}")
    refuse_hostile(found.path, named)
    return wanted


def _on_engines(variants: Sequence[tuple[str, str]], found: "Found") -> list[tuple[str, str]]:
    """The variants, each with its own engine and, where golden vectors can tell, with those that also run its files."""
    from edge_node.engine.installed import installed_engines
    from edge_node.engine.ladder import rungs_of
    from edge_node.pipeline.bundle import read_bundle
    from edge_node.rungs import ALSO, EngineSettings

    golden = found.bundle and read_bundle(found.path).manifest.golden is not None
    here, settings = {one.engine for one in installed_engines()}, EngineSettings(also=ALSO)
    rungs = {(file, engine): rungs_of(file, engine, golden, settings, here) for file, engine in variants}
    return [(file, rung.engine) for (file, _), tried in rungs.items() for rung in tried]


def _default_of(found: "Found", children: Sequence[Child]) -> Way:
    """How the model is served untuned.

    Raises:
        BadInput: no variant can be served here.
    """
    from edge_node.repository.sizing import Asked, Device, sizing_of
    from edge_node.telemetry import system
    from edge_node.worker.messages import LaneOptions

    able = [one for one in children if not one.candidate.error]
    if not able:
        raise BadInput(f"{children[0].variant} on {children[0].engine}: {children[0].candidate.error}")
    first, sizing = able[0], sizing_of(found, Asked(), Device(system.cores(), system.memory_kb()))
    most = sizing.batching.max_batch or LaneOptions().max_batch
    instances = 1 if first.candidate.recurrent else sizing.instances
    return Way(first.variant, first.engine, sizing.threads, instances, most if first.candidate.batches else 1)


def _measured(children: Sequence[Child], default: Way, arguments: argparse.Namespace) -> tuple[Way, list[Arm]]:
    """The ways in rounds; the first round is of all, the others of those that may still be chosen."""
    ways = {way: child for child in children if not child.candidate.error for way in _ways(child, default)}
    arms = {way: Arm(way) for way in dict.fromkeys((default, *ways))}
    ways.setdefault(
        default, next(child for child in children if (child.variant, child.engine) == (default.variant, default.engine))
    )
    slice_s, goes_on = arguments.seconds / ROUNDS, tuple(arms)
    with Progress() as progress:
        bar = _Bar(progress, len(arms) * ROUNDS)
        for number in range(ROUNDS):
            for way in goes_on:
                bar.show(f"{way.variant}: {way.text}")
                arms[way] = _with(arms[way], ways[way].ask(Turn(way, slice_s)))
            goes_on = go_on(tuple(arms.values()), default, arguments.slo_p95)
            bar.fewer(len(goes_on) * (ROUNDS - 1 - number))
    if not arms[default].rounds:
        raise BadInput(f"{default.variant}: {default.text}: {arms[default].error}")
    broken = [Arm(_of(child), error=child.candidate.error) for child in children if child.candidate.error]
    return default, [*arms.values(), *broken]


def _ways(child: Child, default: Way) -> tuple[Way, ...]:
    from edge_node.telemetry.system import cores

    most = 1 if child.candidate.recurrent else max(1, default.instances)
    return ways_of(child.variant, child.engine, cores(), most, batches=child.candidate.batches)


def _with(arm: Arm, said: Measured | Candidate) -> Arm:
    if isinstance(said, Candidate):
        return msgspec.structs.replace(arm, rounds=(), error=said.error)
    return msgspec.structs.replace(arm, rounds=(*arm.rounds, said))


def _of(child: Child) -> Way:
    return Way(child.variant, child.engine, threads=1, instances=1, batch=1)


class _Bar:
    """How far it is, and how long the rest will take."""

    def __init__(self, progress: Progress, turns: int) -> None:
        self._progress, self._turns = progress, turns
        self._done, self._begun = 0, time.monotonic()

    def show(self, what: str) -> None:
        """Another turn begins."""
        filled = BAR * self._done // max(1, self._turns)
        passed = time.monotonic() - self._begun
        left = f", {passed / self._done * (self._turns - self._done):.0f} s left" if self._done else ""
        self._progress.show(f"[{'#' * filled:.<{BAR}}] {self._done + 1} of {self._turns}{left}: {what}")
        self._done += 1

    def fewer(self, left: int) -> None:
        """So many turns are still to come."""
        self._turns = self._done + left


def _text(arms: Sequence[Arm], default: Way, tuned: Tuned) -> str:
    base = next(arm for arm in arms if arm.way == default)
    rows = [
        (
            *("chosen" if arm.way == tuned.way else "default" if arm.way == default else "", arm.way.variant),
            *(arm.way.engine, *map(str, (arm.way.threads, arm.way.instances, arm.way.batch))),
            *(f"{value:.2f}" for value in (arm.per_second, arm.p95_ms, times_of(arm, base))),
        )
        for arm in arms
        if arm.rounds
    ]
    headings = ("", "variant", "engine", "threads", "instances", "batch", "per s", "p95 ms", "÷ default")
    failures = [f"{arm.way.variant} on {arm.way.engine}, {arm.way.text}: {arm.error}" for arm in arms if arm.error]
    chosen = f"{tuned.way.variant} on {tuned.way.engine}, {tuned.way.text}: {tuned.reason}"
    return "\n".join([table(headings, rows, right=frozenset(range(3, 9))), *failures, chosen])


def _json(arms: Sequence[Arm], tuned: Tuned) -> str:
    document = {"chosen": tuned.way, "reason": tuned.reason, "times": tuned.times, "meets": tuned.meets, "arms": arms}
    return msgspec.json.encode(document).decode()
