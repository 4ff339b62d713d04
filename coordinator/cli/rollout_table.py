"""A rollout on a screen: its waves with their gates, the nodes that matter now, and what was decided last."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from coordinator.cli.documents import Document
from coordinator.cli.output import age_text, clock_text, plain

STYLES = {
    "completed": "green",
    "healthy": "green",
    "passed": "green",
    "running": "cyan",
    "shadowing": "cyan",
    "ordered": "cyan",
    "promoting": "cyan",
    "failed": "red",
    "reverting": "yellow",
    "reverted": "yellow",
    "aborted": "red",
    "absent": "bright_black",
    "left": "bright_black",
    "paused": "yellow",
}
BAR = 24
STAGE = 2
"""The column of a node's stage."""
STAGES = ("healthy", "ordered", "reverting", "shadowing", "failed", "reverted", "absent", "waiting", "left")
BLOCKS = {"healthy": "█", "ordered": "▓", "reverting": "▓", "shadowing": "▒", "failed": "█", "reverted": "░"}


def picture(rollout: Document, note: str = "") -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [_headline(rollout), Text(), waves_table(rollout["waves"])]
    if rollout["members"]:
        parts += [Text(), members_table(rollout["members"])]
    if rollout["events"]:
        parts += [Text(), events_table(rollout["events"])]
    return Group(*parts, Text(note, "yellow")) if note else Group(*parts)


def _headline(rollout: Document) -> Text:
    state = str(rollout["state"])
    text = Text.assemble(
        (f"rollout {rollout['id']}", "bold"),
        f"  {rollout['before']} → {rollout['after']}  ",
        (state, f"bold {STYLES.get(state, '')}"),
        f" for {age_text(rollout['since'])}",
    )
    if rollout["reason"]:
        text.append(plain(f": {rollout['reason']}"))
    return text


def waves_table(waves: Iterable[Document]) -> Table:
    """A line for each wave, and for each gate of it below."""
    table = Table(box=None, pad_edge=False, header_style="bright_black")
    for heading in ("WAVE", "NODES", "", "STAGES AND GATES"):
        table.add_column(heading, no_wrap=heading != "STAGES AND GATES")
    for wave in waves:
        name = "canary" if wave["wave"] == 0 else str(wave["wave"])
        table.add_row(name, str(wave["nodes"]), _bar(wave), Text(stages_text(wave)))
        for gate in wave["gates"]:
            table.add_row("", "", "", Text(plain(gate_text(gate)), STYLES.get(gate["verdict"], "")))
    return table


def stages_text(wave: Document) -> str:
    """`3 healthy, 1 ordered`."""
    return ", ".join(f"{wave['stages'][stage]} {stage}" for stage in STAGES if wave["stages"].get(stage)) or "-"


def gate_text(gate: Document) -> str:
    """A gate with its value, its bound and its samples."""
    of = f" ({gate['slice']})" if gate["slice"] else ""
    value = "nothing yet" if gate["value"] is None else f"{gate['value']:.4g}"
    lacking = f" of {gate['needed']}" if gate["samples"] < gate["needed"] else ""
    return f"{gate['gate']}{of} {gate['verdict']}: {value}, {gate['samples']}{lacking} samples"


def members_table(members: Iterable[Document]) -> Table:
    """A line for each node."""
    table = Table("NODE", "WAVE", "STAGE", "SINCE", "WHY", box=None, pad_edge=False, header_style="bright_black")
    for row in member_rows(members):
        table.add_row(*(Text(plain(cell), STYLES.get(cell, "") if at == STAGE else "") for at, cell in enumerate(row)))
    return table


def member_rows(members: Iterable[Document]) -> Iterator[tuple[str, ...]]:
    """Node, wave, stage, since, why."""
    for one in members:
        since = age_text(one["since"]) if one["since"] else "-"
        yield f"{one['site']}/{one['name']}", str(one["wave"]), str(one["stage"]), since, str(one["reason"])


def events_table(events: Iterable[Document]) -> Table:
    """A line for each decision."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for event in events:
        table.add_row(Text(clock_text(event["at"]), "bright_black"), event["kind"], Text(plain(event["text"])))
    return table


def _bar(wave: Document) -> Text:
    """The stages of a wave as blocks, always as wide."""
    total, text, seen = max(1, wave["nodes"]), Text(), 0
    for stage in STAGES:
        seen += wave["stages"].get(stage, 0)
        text.append(BLOCKS.get(stage, "·") * (round(BAR * seen / total) - len(text)), STYLES.get(stage, "bright_black"))
    return text
