"""The demo on a screen: one row per node, and what it all amounts to below."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from coordinator.cli.demo_tally import Tally, accuracy, quantile

COLOURS = {"good": "green", "empty": "bright_black"}
DEFECT = "red"
BAR_WIDTH = 8


@dataclass(frozen=True)
class Traffic:
    """What a node counted: frames decoded, bytes in as they were encoded, bytes sent, results in its outbox."""

    frames: int = 0
    bytes_encoded: int = 0
    bytes_up: int = 0
    outbox: int = 0


@dataclass(frozen=True)
class Row:
    """A node as the table shows it."""

    name: str
    site: str
    tally: Tally
    traffic: Traffic

    @property
    def bytes_in(self) -> int:
        """Raw input: the pixels of every frame that the node has decoded."""
        return self.traffic.frames * self.tally.frame_bytes


def screen(rows: Sequence[Row], stored: int, now_s: float, footer: str) -> RenderableType:
    """The whole picture."""
    return Group(
        _nodes(rows, now_s), Panel(_summary(rows, stored), title="the fleet", title_align="left"), Text(footer)
    )


def _nodes(rows: Sequence[Row], now_s: float) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 1, 0), header_style="bright_black")
    table.add_column("node", no_wrap=True)
    table.add_column("sees now, and before", no_wrap=True)
    for heading, width in (("p50 / p95 ms", 12), ("fps", 4), ("outbox", 6), ("raw in", 8), ("sent up", 8)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for row in rows:
        tally, traffic = row.tally, row.traffic
        table.add_row(
            f"[bold]{row.name}[/]\n[bright_black]{row.site}[/]",
            _sees(tally) + Text("\n") + _history(tally),
            f"{_number(quantile(tally.latencies_ms, 0.5))} / {_number(quantile(tally.latencies_ms, 0.95))}",
            f"{tally.rate(now_s):.1f}",
            str(traffic.outbox),
            in_bytes(row.bytes_in),
            in_bytes(traffic.bytes_up),
        )
    return table


def _summary(rows: Sequence[Row], stored: int) -> Text:
    came, left = sum(row.bytes_in for row in rows), sum(row.traffic.bytes_up for row in rows)
    right = accuracy([row.tally for row in rows])
    text = Text.assemble(("results stored ", "bright_black"), (f"{stored}", "bold"))
    if right is not None:
        text.append_text(Text.assemble(("   right ", "bright_black"), (f"{right:.1%}", "bold")))
    if left:
        kept = Text.assemble(
            ("   raw data in ÷ sent upstream ", "bright_black"), (f"{came / left:,.0f} : 1", "bold green")
        )
        text.append_text(kept)
    return text


def _sees(tally: Tally) -> Text:
    if not tally.results:
        return Text("waiting", "bright_black")
    filled = round(tally.score * BAR_WIDTH)
    colour = COLOURS.get(tally.label, DEFECT)
    return Text.assemble(
        (f"{tally.label.replace('_', ' '):<13}", f"bold {colour}"),
        ("█" * filled, colour),
        ("░" * (BAR_WIDTH - filled), "bright_black"),
        f" {tally.score:.2f}",
    )


def _history(tally: Tally) -> Text:
    """A film strip of what passed."""
    return Text.assemble(*(("▁" if label == "empty" else "▆", COLOURS.get(label, DEFECT)) for label in tally.history))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def in_bytes(count: float) -> str:
    """A number of bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
