"""docs/reference/node.md names every key that there is, with its default, and no other."""

import re
from pathlib import Path

import msgspec
import pytest

from edge_node.config import LiveSink, NodeConfig, OutboxLimits, Source
from edge_node.supervisor import status

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "node.md").read_text(encoding="utf-8")


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
        (LiveSink, section("## `[live]`")),
        (OutboxLimits, section("## `[outbox]`")),
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


def test_every_key_of_the_status_document_is_documented() -> None:
    text = section("## The status document")
    named = set(re.findall(r"`(\w+)`", text))
    assert {field.encode_name for field in msgspec.structs.fields(status.StatusDocument)} <= named
    parts: tuple[type[msgspec.Struct], ...] = (
        status.StepStatus,
        status.PipelineReport,
        status.SourceReport,
        status.WorkerReport,
        status.OutboxReport,
        status.LinkReport,
        status.BytesReport,
    )
    for kind in parts:
        assert {field.encode_name for field in msgspec.structs.fields(kind)} <= named
