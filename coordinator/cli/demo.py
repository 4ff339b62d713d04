"""`edgectl demo`: a coordinator, its broker and two nodes on this machine, on a clip with a known truth.

Everything runs in child processes and a temporary folder, and both are gone when it ends, however it ends. In a
terminal it is a live table; without one, or with --json, a few plain lines on standard error, and then the figures.
"""

import io
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import grpc
import typer
from rich.console import Console, RenderableType
from rich.live import Live

from coordinator.cli import client
from coordinator.cli.demo_children import Child, Children, failed
from coordinator.cli.demo_commands import meanwhile, next_steps, scripts_folder
from coordinator.cli.demo_scene import Scene, assets
from coordinator.cli.demo_table import screen
from coordinator.cli.demo_tally import accuracy, quantile
from coordinator.cli.demo_watch import Watch
from protos.fleet.v1.system_pb2 import SystemStatus

FIRST_RESULT_S = 60.0
UNATTENDED_S = 20.0
"""How long it runs without a terminal and without --seconds."""
SVG_WIDTH = 82


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    seconds: float | None
    nodes: int
    live: bool
    """a table on the terminal"""
    keep: bool
    save_svg: Path | None


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so many seconds of results.")] = None,
    nodes: Annotated[int, typer.Option(min=1, max=8, help="How many nodes.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    keep: Annotated[bool, typer.Option(help="Keep the folder with the logs and databases.")] = False,
    save_svg: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """A coordinator, a broker and two nodes on this machine, inspecting parts on a belt."""
    live = sys.stdout.isatty() and not as_json
    options = Options(seconds if seconds or live else UNATTENDED_S, nodes, live, keep, save_svg)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    with _folder(options.keep) as folder, Children(folder) as children:
        figures = _play(options, folder, children)
    if as_json:
        print(json.dumps(figures), flush=True)
        return
    _print_figures(figures)
    typer.echo(next_steps(assets(), scripts_folder()))


def _end(number: int, _frame: object) -> NoReturn:
    """A signal ends the demo as an error would: through every `with` block."""
    raise SystemExit(128 + number)


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    """A temporary folder, gone afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="nearfield-demo-"))
    try:
        yield folder
    finally:
        if keep:
            _say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _play(options: Options, folder: Path, children: Children) -> dict[str, object]:
    scene = Scene(children, folder, assets())
    sites = {f"cam-{number}": f"hall-{'abcdefgh'[number - 1]}" for number in range(1, options.nodes + 1)}
    scene.make_coordinator()
    client.address.set(scene.address)
    client.credentials.set(scene.credentials)
    with client.connect() as channel:
        watch = Watch(channel, children, scene, sites)
        with _spinning(options):
            status = _set_up(scene, channel, watch, sites)
        elapsed_s = _watch(options, watch, meanwhile(scene.address, scene.home, status.broker_url, scripts_folder()))
        return _figures(watch, elapsed_s, status.broker_kind)


def _spinning(options: Options) -> AbstractContextManager[object]:
    """In a terminal something moves until the table is there."""
    words = "starting a coordinator, its broker and the nodes: ten seconds or so"
    return Console(stderr=True).status(words) if options.live else nullcontext()


def _set_up(scene: Scene, channel: grpc.Channel, watch: Watch, sites: dict[str, str]) -> SystemStatus:
    """Start every part, and wait until every node has delivered."""
    status = scene.start_coordinator(channel)
    _say(f"coordinator: {scene.address}, broker: {status.broker_url} ({status.broker_kind})")
    model = scene.push_model(channel)
    _say(f"model: {model}")
    watch.start()
    running = {name: scene.start_node(channel, name, site) for name, site in sites.items()}
    scene.deploy(channel, model)
    _say(f"nodes: {', '.join(f'{name} at {site}' for name, site in sites.items())}")
    _await_first_results(watch, running)
    return status


def _await_first_results(watch: Watch, running: dict[str, Child]) -> None:
    begun = time.monotonic()
    while silent := [name for name, tally in watch.tallies.items() if not tally.results]:
        if time.monotonic() - begun > FIRST_RESULT_S:
            raise failed(running[silent[0]], f"delivered no result within {FIRST_RESULT_S:.0f} s")
        watch.take()
        time.sleep(0.05)
    _say(f"first results after {time.monotonic() - begun:.1f} s")


def _watch(options: Options, watch: Watch, footer: str) -> float:
    """Watch until the time is over or Ctrl-C; the seconds that it took."""
    watch.reset()
    begun = time.monotonic()
    try:
        if not options.live:
            _say(f"watching for {options.seconds:.0f} s\n{footer}")
        with Live(auto_refresh=False) if options.live else nullcontext() as area:
            while options.seconds is None or time.monotonic() - begun < options.seconds:
                watch.turn()
                if area is not None:
                    area.update(screen(watch.rows(), watch.stored, time.time(), footer), refresh=True)
                time.sleep(0.1)
    except KeyboardInterrupt:
        _say("ending: the last counts, then every part is stopped (a few seconds)")
    elapsed_s, now_s = time.monotonic() - begun, time.time()
    watch.refresh()
    if options.save_svg is not None:
        _save_svg(options.save_svg, screen(watch.rows(), watch.stored, now_s, footer))
    return elapsed_s


def _save_svg(file: Path, picture: RenderableType) -> None:
    console = Console(record=True, width=SVG_WIDTH, file=io.StringIO())
    console.print(picture)
    console.save_svg(str(file), title="edgectl demo")


def _figures(watch: Watch, elapsed_s: float, broker_kind: str) -> dict[str, object]:
    """What the demo promises, by the names of docs/demo.md."""
    rows = watch.rows()
    tallies = [row.tally for row in rows]
    right = accuracy(tallies)
    return {
        "nodes": len(tallies),
        "seconds": round(elapsed_s, 1),
        "broker": broker_kind,
        "results_stored": watch.stored,
        "results_per_second": round(sum(tally.results for tally in tallies) / elapsed_s, 1),
        "latency_ms": _quantiles(value for tally in tallies for value in tally.latencies_ms),
        "delivery_ms": _quantiles(value for tally in tallies for value in tally.delivery_ms),
        "accuracy": None if right is None else round(right, 4),
        "judged": sum(tally.judged for tally in tallies),
        "bytes_in": sum(row.bytes_in for row in rows),
        "bytes_in_encoded": sum(row.traffic.bytes_encoded for row in rows),
        "bytes_up": sum(row.traffic.bytes_up for row in rows),
    }


def _quantiles(values: Iterable[float]) -> dict[str, float | None]:
    ordered = sorted(values)
    found = {"p50": quantile(ordered, 0.5), "p95": quantile(ordered, 0.95)}
    return {name: None if value is None else round(value, 2) for name, value in found.items()}


def _print_figures(figures: dict[str, object]) -> None:
    for name, value in figures.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        typer.echo(f"{name.replace('_', ' '):<20}{shown}")


def _say(text: str) -> None:
    """Progress, on standard error: plain lines, whatever the terminal."""
    print(text, file=sys.stderr, flush=True)
