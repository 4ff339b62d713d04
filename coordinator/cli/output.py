"""What `edgectl` prints: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "online": "green",
    "running": "green",
    "intact": "green",
    "offline": "red",
    "failed": "red",
    "pending": "yellow",
    "unknown": "yellow",
}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def console() -> Console:
    """Standard output; wide where it is no terminal, so that nothing is folded in a file."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, soft_wrap=True)


def plain(text: str) -> str:
    """The text without what could steer a terminal: nodes and their devices say what they like. Lines and tabs stay."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


def warn(warnings: Iterable[str]) -> None:
    """A line each on standard error."""
    for warning in warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr)


def print_json(document: object) -> None:
    """One JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or one line where there is nothing to show."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    if not cells:
        print(empty)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    _print_trimmed(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Names and values below each other."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in fields:
        table.add_row(Text(name, style="bold"), Text(plain(str(value)), style=STYLES.get(str(value), "")))
    _print_trimmed(table)


def _print_trimmed(table: Table) -> None:
    """Without the blanks that fill up the last column."""
    screen = console()
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def print_diff(diff: str) -> None:
    """A unified diff in colour."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        console().print(Text(line, style=styles.get(line[:1], "")))


def size_text(size: int) -> str:
    """Bytes for people: `3.4 MiB`."""
    amount, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def age_text(moment: str, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was: `12s`, `5m`, `3h`, `2d`; `never` for none."""
    if not moment:
        return "never"
    seconds = max(0, int(((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def clock_text(moment: str) -> str:
    """The time of day of an RFC 3339 time in UTC: `10:02:31`."""
    return moment[11:19]
