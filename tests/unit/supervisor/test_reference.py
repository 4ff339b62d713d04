"""docs/reference/node.md names every key that there is, with its default, and no other."""

import argparse
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from edge_node.cli import enroll, run
from edge_node.cli import status as status_command
from edge_node.config import (
    BrokerLogin,
    EgressLimits,
    LiveSink,
    LocalServing,
    NodeConfig,
    OutboxLimits,
    Source,
    StoreSettings,
    WorkerSettings,
)
from edge_node.membership.upkeep import IdentityReport
from edge_node.rungs import EngineSettings, Rung
from edge_node.supervisor import status

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "node.md").read_text(encoding="utf-8")

KEY = re.compile(r"`(\w+)`")


def section(heading: str) -> str:
    """The text below a heading, up to the next."""
    return PAGE.partition(heading)[2].partition("\n## ")[0]


def rows(text: str) -> dict[str, str]:
    """The first two cells of each table row whose first is one key."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (NodeConfig, PAGE.partition("\n## ")[0]),
        (Source, section("## `[sources.NAME]`")),
        (BrokerLogin, section("## `[uplink]`")),
        (LiveSink, section("## `[live]`")),
        (OutboxLimits, section("## `[outbox]`")),
        (EgressLimits, section("## `[egress]`")),
        (WorkerSettings, section("## `[worker]`")),
        (StoreSettings, section("## `[store]`")),
        (LocalServing, section("## `[serving]`")),
        (EngineSettings, section("## `[engines]`").partition("\n### ")[0]),
        (Rung, section("## `[engines]`").partition("\n### ")[2]),
    ],
)
def test_every_key_of_the_configuration_is_documented_with_its_default(kind: type[msgspec.Struct], text: str) -> None:
    documented = rows(text)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    assert documented.keys() == fields.keys()
    for name, field in fields.items():
        if isinstance(field.default, str | int | float):
            value = msgspec.json.encode(field.default).decode()
            assert documented[name] == f"`{value}`"


@pytest.mark.parametrize("command", [enroll, run, status_command])
def test_every_option_of_a_command_is_documented_and_no_other(command: ModuleType) -> None:
    name = command.__name__.rpartition(".")[2]
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    command.register(subparsers)
    options = {option for action in subparsers.choices[name]._actions for option in action.option_strings}
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section(f"## `edge-node {name}`")))
    assert documented == options - {"-h", "--help"}


def test_every_key_of_the_status_document_is_documented_and_no_other() -> None:
    text = section("## The status document")
    named = set(re.findall(r"`(\w+)`", text))
    rows = {
        key for cells in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE) for key in KEY.findall(cells)
    }
    assert rows == {field.encode_name for field in msgspec.structs.fields(status.StatusDocument)}
    parts: tuple[type[msgspec.Struct], ...] = (
        status.StepStatus,
        status.PipelineReport,
        status.SourceReport,
        status.WorkerReport,
        status.OutboxReport,
        status.LinkReport,
        status.BytesReport,
        IdentityReport,
        status.ClockReport,
        status.ServingReport,
    )
    for kind in parts:
        assert {field.encode_name for field in msgspec.structs.fields(kind)} <= named
