"""The generated documents are the committed ones, cover every topic, and hold for real messages."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from protos import schemas
from protos.digest import digest_of
from protos.identity import NodeId, StreamId
from protos.reported import Facts, Hello, Progress, Proof, Reported, ReportedDeployment, Status
from protos.result import Dropped, Tombstone
from protos.topics import DELIVERY, Kind, Topics
from tests.durable.node import draft
from tests.unit.results.arrivals import message, result, tombstone

DOCS = Path(__file__).parents[3] / "docs"
NODE = NodeId("a" * 32)
DIGEST = digest_of(b"")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))
    return read


def test_the_committed_documents_are_what_is_generated() -> None:
    assert schemas.drifted(DOCS) == []


def test_a_document_that_was_edited_or_left_over_is_noticed(tmp_path: Path) -> None:
    schemas.write(tmp_path)
    (tmp_path / "schemas" / "anomaly.json").write_text("{}")
    (tmp_path / "schemas" / "forgotten.json").write_text("{}")
    assert schemas.drifted(tmp_path) == ["schemas/anomaly.json", "schemas/forgotten.json"]
    schemas.write(tmp_path)
    assert schemas.drifted(tmp_path) == []


def test_every_schema_is_a_schema() -> None:
    for schema in schemas.result_schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_control_topic_is_a_channel_with_its_delivery(document: dict[str, Any]) -> None:
    for kind, delivery in DELIVERY.items():
        address = Topics().of_node(NodeId("{node}"), kind, "{name}" if "{name}" in _address(document, kind) else None)
        assert _address(document, kind) == address
        binding = document["operations"][kind.value]["bindings"]["mqtt"]
        assert (binding["qos"], binding["retain"]) == (delivery.qos, delivery.retain)


def _address(document: dict[str, Any], kind: Kind) -> str:
    return str(document["channels"][kind.value]["address"])


def test_every_live_topic_is_a_channel(document: dict[str, Any]) -> None:
    topics, channels = Topics(), document["channels"]
    assert channels["live"]["address"] == topics.live("{site}", "{node}", "{pipeline}")
    assert channels["liveState"]["address"] == topics.live_state("{site}", "{node}", "{pipeline}", "{state}")
    assert channels["availability"]["address"] == topics.availability("{site}", "{node}")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set[str]()

    def collect(part: object) -> None:
        if isinstance(part, dict):
            references.update(value for key, value in part.items() if key == "$ref")
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    collect(document)
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


REAL = {
    Kind.STATUS: msgspec.json.encode(Status(state="online", connection="c1")),
    Kind.HELLO: msgspec.json.encode(
        Hello(NODE, "c1", "0.1.0", Facts(hostname="h", cores=2), None, 1, 2, StreamId("5" * 32), 9)
    ),
    Kind.REPORTED: msgspec.json.encode(
        Reported(
            NODE, 1, 2, DIGEST, "2026-05-01T10:00:00Z",
            (ReportedDeployment("d", "m", 1, DIGEST, "running", proof=Proof("proven", 3, 1.0, 7.5)),),
        )
    ),
    Kind.PROGRESS: msgspec.json.encode(Progress("d", "fetch", 10, 100)),
    Kind.DURABLE: message(result(1), tombstone(2, 5)),
}  # fmt: skip


@pytest.mark.parametrize("kind", REAL)
def test_real_messages_follow_the_document(document: dict[str, Any], kind: Kind) -> None:
    payload = document["channels"][kind.value]["messages"][kind.value]["payload"]
    jsonschema.validate(json.loads(REAL[kind]), {**payload, "components": document["components"]})


def test_a_live_result_follows_the_document_and_a_tombstone_is_never_live(document: dict[str, Any]) -> None:
    payload = {**document["channels"]["live"]["messages"]["live"]["payload"], "components": document["components"]}
    jsonschema.validate(json.loads(result(1)), payload)
    dropped = Dropped(node=NODE, stream=StreamId("5" * 32), first=1, seq=1, count=1, reason="too_old")
    buried = msgspec.json.encode(Tombstone(id="x/1", source="s", time="t", data=dropped))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(buried), payload)


def test_a_draft_has_no_field_for_a_frame() -> None:
    assert not any(isinstance(value, bytes) for value in msgspec.to_builtins(draft("r").observation))
