"""The reference pages name exactly what there is."""

import re
from pathlib import Path

import msgspec
import pytest
import typer

from coordinator.__main__ import LISTS, OPTIONS
from coordinator.cli import documents, program, rollout_documents
from coordinator.cli.result_rows import COLUMNS, INTEGER, REAL, TEXT, TIME, TRUTH
from coordinator.config import CoordinatorConfig
from protos.deployment import Deployment, Egress, Live, Pipeline
from protos.fleet.v1 import rollout_pb2
from protos.fleet.v1.deployment_pb2 import ApplyDeploymentReply, DeploymentNode
from protos.fleet.v1.deployment_pb2 import Deployment as WireDeployment
from protos.fleet.v1.model_pb2 import BundleFile, ModelVersion
from protos.fleet.v1.node_pb2 import Node
from protos.fleet.v1.system_pb2 import SystemStatus
from tests.conftest import ROOT

REFERENCE = ROOT / "docs" / "reference"
CREATED = ApplyDeploymentReply.OUTCOME_CREATED
A_ROLLOUT = rollout_pb2.Rollout(
    spec_json="{}",
    waves=[rollout_pb2.RolloutWave(gates=[rollout_pb2.RolloutGate()])],
    members=[rollout_pb2.RolloutMember()],
    events=[rollout_pb2.RolloutEvent(detail_json="{}")],
)


def section(page: str, title: str) -> str:
    """The text below a heading, to the next one."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return re.split(r"^## ", text.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def keys_of_table(text: str) -> list[str]:
    """The first column."""
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "title", "struct"),
    [
        ("coordinator.md", "Keys of `coordinator.toml`", CoordinatorConfig),
        ("deployment.md", "Deployment", Deployment),
        ("deployment.md", "Pipeline", Pipeline),
        ("deployment.md", "Live", Live),
        ("deployment.md", "Egress", Egress),
    ],
)
def test_every_key_is_documented_and_no_other(page: str, title: str, struct: type[msgspec.Struct]) -> None:
    assert sorted(keys_of_table(section(page, title))) == sorted(struct.__struct_encode_fields__)


def test_simple_defaults_are_those_of_the_code() -> None:
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| `([^`]+)` \|", section("coordinator.md", "Keys of `coordinator.toml`"), re.MULTILINE
        )
    )
    defaults = {field.name: field.default for field in msgspec.structs.fields(CoordinatorConfig)}
    assert rows
    assert {key: msgspec.json.decode(value) for key, value in rows.items()} == {key: defaults[key] for key in rows}


def test_every_option_of_edge_coordinator_is_documented() -> None:
    text = (REFERENCE / "coordinator.md").read_text(encoding="utf-8")
    assert all(f"--{option[0]}" in text for option in (*OPTIONS, *LISTS))


@pytest.mark.parametrize(
    ("title", "document"),
    [
        ("status", documents.status_document(SystemStatus())),
        ("version", documents.version_document(ModelVersion(files=[BundleFile()]))),
        ("node", documents.node_document(Node(facts_json="{}"))),
        ("deployment", documents.deployment_document(WireDeployment(spec_json="{}", nodes=[DeploymentNode()]))),
        ("application", documents.application_document("", False, ApplyDeploymentReply(outcome=CREATED))),
        ("rollout", rollout_documents.rollout_document_of(A_ROLLOUT)),
        ("plan", rollout_documents.plan_document(rollout_pb2.PlanRolloutReply(nodes=[rollout_pb2.PlannedNode()]))),
    ],
)
def test_every_key_of_a_json_document_is_documented(title: str, document: documents.Document) -> None:
    documented = re.findall(r"`(\w+)`", section("edgectl.md", title))
    inner = [key for value in document.values() if isinstance(value, list) for one in value[:1] for key in one]
    missing = {*document, *inner} - set(documented)
    assert not missing


def test_every_column_of_an_export_is_documented_with_its_kind() -> None:
    kinds = {TEXT: "string", INTEGER: "int64", REAL: "double", TRUTH: "bool", TIME: "timestamp in UTC, µs"}
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section("results.md", "Columns"), re.MULTILINE)
    assert rows == [(name, kinds[kind]) for name, (kind, _) in COLUMNS.items()]


def test_every_command_of_edgectl_is_documented() -> None:
    text = (REFERENCE / "edgectl.md").read_text(encoding="utf-8")
    root = typer.main.get_command(program())
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = () if name == "results" else getattr(command, "commands", {})
        for path in (f"{name} {verb}" for verb in inner):
            assert f"`edgectl {path}" in text
        assert f"`edgectl {name}" in text


def test_the_pages_are_where_the_code_says_they_are() -> None:
    assert "docs/reference/coordinator.md" in Path(ROOT / "coordinator" / "folder.py").read_text(encoding="utf-8")
