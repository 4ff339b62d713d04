"""`edgectl sim`: a rollout tried on a virtual fleet. It asks no coordinator: the same rules run here, on a database in
memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from coordinator.cli.options import AsJson
from coordinator.cli.output import print_fields, print_json, print_table
from coordinator.cli.yaml_file import read_yaml, with_line
from coordinator.errors import BadInput, Exit, WrongUsage

if TYPE_CHECKING:
    from coordinator.rollouts.records import Rollout
    from coordinator.rollouts.spec import RolloutSpec
    from coordinator.sim.faults import Faults
    from coordinator.sim.outcome import Outcome
    from coordinator.sim.simulation import Shown
    from coordinator.sim.watching import Tally

DEFAULT = {"deployment": "simulated", "to": "simulated@2", "canary": "1%", "waves": "10%,100%", "auto_promote": True}
MOST_NODES = 1_000_000


def sim(
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=MOST_NODES, help="How many.")] = 100,
    rollout: Annotated[
        Path | None, typer.Option("--rollout", metavar="FILE", help="Its YAML file, as for rollout create.")
    ] = None,
    faults: Annotated[Path | None, typer.Option("--faults", metavar="FILE", help="What goes wrong, YAML.")] = None,
    failure_rate: Annotated[
        float | None, typer.Option("--failure-rate", min=0, max=1, help="Of nodes that start: they go back.")
    ] = None,
    max_parallel: Annotated[
        str | None, typer.Option("--max-parallel", help="Nodes in flight at once: a share, 5%, or a number.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed: the same again.")] = 1,
    as_json: AsJson = False,
) -> int:
    """Try a rollout on a virtual fleet: hours in seconds, by the same rules."""
    simulation = _simulation()
    spec, wrong = _spec(rollout, max_parallel), _faults(faults, failure_rate)
    with _progress(nodes, wanted=sys.stderr.isatty()) as show:
        outcome = simulation.simulate(simulation.Setting(nodes, spec, wrong, seed), show)
    if as_json:
        print_json(msgspec.to_builtins(outcome))
    else:
        _print(outcome)
    return Exit.FAILED if outcome.violations else Exit.DONE


def _simulation() -> ModuleType:
    try:
        from coordinator.sim import simulation
    except ModuleNotFoundError as error:
        raise WrongUsage(f"edgectl sim needs {error.name}: pip install 'nearfield[coordinator]'") from None
    return simulation


def _spec(file: Path | None, max_parallel: str | None) -> "RolloutSpec":
    from coordinator.rollouts.spec_file import parse_spec

    more = {} if max_parallel is None else {"max_parallel": max_parallel}
    if file is None:
        return parse_spec({**DEFAULT, **more}, "--max-parallel")
    read = read_yaml(file, "rollout", "deployment and to")
    try:
        return parse_spec({**read.document, **more}, read.where)
    except BadInput as error:
        raise BadInput(with_line(str(error), read)) from None


def _faults(file: Path | None, failure_rate: float | None) -> "Faults":
    from coordinator.sim.faults import parse_faults

    more = {} if failure_rate is None else {"failure_rate": failure_rate}
    if file is None:
        return parse_faults(more, "--failure-rate")
    read = read_yaml(file, "faults file", "at least one key, like failure_rate")
    try:
        return parse_faults({**read.document, **more}, read.where)
    except BadInput as error:
        raise BadInput(with_line(str(error), read)) from None


@contextmanager
def _progress(nodes: int, *, wanted: bool) -> "Iterator[Shown]":
    """A bar on standard error, where a person is looking."""
    if not wanted:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=nodes)

        def show(rollout: "Rollout", tally: "Tally", seconds: float) -> None:
            settled = sum(count for (_, stage), count in tally.items() if stage in ("healthy", "failed", "reverted"))
            shown = f"{rollout.state}, wave {rollout.wave}, after {timedelta(seconds=round(seconds))}"
            bar.update(task, completed=settled, description=shown)

        yield show


def _print(outcome: "Outcome") -> None:
    stages = sorted({stage for wave in outcome.waves for stage in wave.stages})
    rows = [(f"wave {wave.wave}", *(wave.stages.get(stage, 0) for stage in stages)) for wave in outcome.waves]
    print_table(("", *stages), rows, "no waves")
    print()
    stop = outcome.stopped_at_s
    stopped = "" if stop is None else f"after {timedelta(seconds=round(stop))}, {outcome.in_flight_at_stop} in flight"
    print_fields(
        (name, value)
        for name, value in (
            ("rollout", f"{outcome.state}: {outcome.reason}" if outcome.reason else outcome.state),
            ("nodes", f"{outcome.nodes}: {outcome.started} started, {outcome.failed} failed"),
            ("in flight", f"at most {outcome.most_in_flight} of {outcome.cap}"),
            ("stopped", stopped),
            ("started after the stop", "" if stop is None else outcome.started_after_stop),
            ("serving", ", ".join(f"{version}: {count}" for version, count in sorted(outcome.serving.items()))),
            ("time", f"{timedelta(seconds=round(outcome.virtual_s))} in {outcome.wall_s:.1f} s"),
            ("violations", "; ".join(outcome.violations)),
        )
        if value != ""
    )
