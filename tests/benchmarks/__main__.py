"""`make bench`: every benchmark in one run, as a table and as JSON.

    python -m tests.benchmarks [NAME…] [--json FILE] [--realtime]

Each module named in BENCHMARKS has `measure(data) -> list[Figure]`. Figures of one run may be compared with each
other; absolute values drift with the machine. What else runs on it costs a pipeline of several processes more than a
script of one: `--realtime` keeps it out of the measurement.
"""

import argparse
import compileall
import importlib
import os
import platform
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.benchmarks import serving
from tests.benchmarks.figures import Figure

ROOT = Path(__file__).parent.parent.parent
WIDTH = 130
"""columns at least, also where the output is not a terminal"""
BENCHMARKS = (
    "pipeline",
    "latency",
    "shadow",
    "idle",
    "footprint",
    "start",
    "download",
    "admission",
    "durable",
    "serving",
    "attacks",
    "rollouts",
)
SERVING = tuple(f"serving.{part}" for part in (*serving.PARTS, "never_cold", "mlperf"))
"""what `serving` stands for: each part takes minutes, and can be measured by itself"""

PACKAGES = ("edge_node", "coordinator", "protos")


def main() -> int:
    """Run them, print the table, write the JSON; 1 where a goal was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description="Benchmarks, side by side in one run.")
    parser.add_argument(
        "benchmarks", nargs="*", choices=[*BENCHMARKS, *SERVING, []], help=f"some of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="where the JSON goes")
    parser.add_argument("--realtime", action="store_true", help="run before everything else on this machine (root)")
    arguments = parser.parse_args()
    if arguments.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # sched(7): children inherit it
    data = Path(os.environ.get("NEARFIELD_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not data.is_dir():
        print(f"no models at {data}: set NEARFIELD_TEST_DATA", file=sys.stderr)
        return 2
    _as_installed()
    figures: list[Figure] = []
    chosen = arguments.benchmarks or BENCHMARKS
    for name in (one for each in chosen for one in (SERVING if each == "serving" else (each,))):
        print(f"{name} …", file=sys.stderr, flush=True)
        figures += _measured(name, data)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(_report(figures, realtime=arguments.realtime))))
    Console(width=max(WIDTH, Console().width)).print(_table(figures))
    print(f"JSON: {arguments.json}")
    return int(any(figure.met is False for figure in figures))


def _measured(name: str, data: Path) -> list[Figure]:
    """The figures of a benchmark, or of a part of `serving`."""
    part = name.removeprefix("serving.")
    if part in serving.PARTS:
        return serving.measure(data, part)
    figures: list[Figure] = importlib.import_module(f"tests.benchmarks.{name}").measure(data)
    return figures


def _as_installed() -> None:
    """With byte code, as a package has it that was installed; some environments let Python write none."""
    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=2)


def _report(figures: list[Figure], *, realtime: bool) -> dict[str, object]:
    machine = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "realtime": realtime,
    }
    rows = [{**msgspec.to_builtins(figure), "met": figure.met} for figure in figures]
    return {"machine": machine, "figures": rows}


def _table(figures: list[Figure]) -> Table:
    table = Table(title="Nearfield benchmarks")
    for column, justify in (("benchmark", "left"), ("figure", "left"), ("value", "right"), ("goal", "right")):
        table.add_column(column, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("")
    table.add_column("note", overflow="fold")
    marks = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}
    for figure in figures:
        value = f"{figure.value:,.3g} {figure.unit}" if figure.value < 1000 else f"{figure.value:,.0f} {figure.unit}"
        table.add_row(figure.benchmark, figure.name, value, figure.goal, marks[figure.met], figure.note)
    return table


if __name__ == "__main__":
    raise SystemExit(main())
