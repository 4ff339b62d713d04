"""The egress contract: what it names leaves, everything else is refused, and it names what the messages have."""

import base64
import random
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge_node.outbox.events import encode_result
from protos import command, metrics, reported, result
from protos import egress_fields as fields
from protos.deployment import MOST_EGRESS, Egress
from protos.digest import digest_of
from protos.egress import CONTRACT, Leaving, check, check_request, kind_of
from protos.identity import NodeId, StreamId
from protos.metrics import Metrics
from protos.reported import Facts, Hello, Progress, Reported, ReportedDeployment, Status
from protos.topics import MAX_PAYLOAD, Kind, Topics
from tests.durable.node import draft
from tests.unit.results.arrivals import tombstone

NODE, STREAM = NodeId("a" * 32), StreamId("5" * 32)
DIGEST = digest_of(b"")
RESULT = encode_result(draft("macaw"), STREAM, 7)
TWINS = [
    (fields.Status, reported.Status),
    (fields.EgressPolicy, reported.EgressPolicy),
    (fields.Facts, reported.Facts),
    (fields.Hello, reported.Hello),
    (fields.Proof, reported.Proof),
    (fields.ReportedDeployment, reported.ReportedDeployment),
    (fields.Reported, reported.Reported),
    (fields.Progress, reported.Progress),
    (fields.Reply, command.Reply),
    (fields.Metrics, metrics.Metrics),
    (fields.Classified, result.Classified),
    (fields.Detected, result.Detected),
    (fields.Anomaly, result.Anomaly),
    (fields.Tensor, result.Tensor),
    (fields.Frame, result.Frame),
    (fields.LatencyMs, result.LatencyMs),
    (fields.Data, result.Data),
    (fields.Dropped, result.Dropped),
]
REAL = {
    Leaving.STATUS: Status("online", "c1"),
    Leaving.HELLO: Hello(NODE, "c1", "0.2.0", Facts(hostname="h", sources=("shelf",)), None, 1, 2, STREAM, 9),
    Leaving.REPORTED: Reported(
        NODE, 1, 2, DIGEST, "2026-05-01T10:00:00Z", (ReportedDeployment("d", "m", 1, DIGEST, "running"),)
    ),
    Leaving.PROGRESS: Progress("d", "fetch", 10, 100),
    Leaving.REPLIES: command.Reply(NODE, "5" * 32, True, ("2026-05-01T10:00:00Z INFO app: adopted",)),
    Leaving.METRICS: Metrics("2026-05-01T10:00:00Z", "2026-05-01T09:00:00Z", {"shelf": 10**12}),
}


def changed(event: bytes, **changes: object) -> bytes:
    """The event with other keys in its data."""
    document = msgspec.json.decode(event)
    document["data"].update(changes)
    return msgspec.json.encode(document)


def tensor_event(values: int, pipeline: str = "speech") -> bytes:
    """A result of a tensor model."""
    document = msgspec.json.decode(changed(RESULT, pipeline=pipeline))
    document["type"], document["dataschema"] = "inference.tensor.v1", "urn:nearfield:tensor:1"
    document["data"]["outputs"] = [{"name": "output", "shape": [1, values], "values": [0.5] * values}]
    return msgspec.json.encode(document)


@pytest.mark.parametrize("kind", REAL)
def test_what_a_node_says_may_leave(kind: Leaving) -> None:
    assert check(kind, msgspec.json.encode(REAL[kind])) is None


def test_results_and_tombstones_may_leave_and_a_tombstone_is_never_live() -> None:
    buried = tombstone(2, 5)
    assert check(Leaving.DURABLE, b"[" + RESULT + b"," + buried + b"]") is None
    assert check(Leaving.LIVE, RESULT) is None
    assert check(Leaving.LIVE, buried) is not None


@pytest.mark.parametrize(("allowed", "made"), TWINS)
def test_the_contract_names_the_fields_that_messages_have_and_no_other(
    allowed: type[msgspec.Struct], made: type[msgspec.Struct]
) -> None:
    assert set(allowed.__struct_fields__) == set(made.__struct_fields__)


def test_every_text_and_every_list_has_a_greatest_size_and_no_field_holds_bytes() -> None:
    for allowed in CONTRACT.values():
        if allowed.what is not None:
            for part in parts(msgspec.inspect.type_info(allowed.what), set()):
                assert not isinstance(
                    part, msgspec.inspect.BytesType | msgspec.inspect.AnyType | msgspec.inspect.RawType
                )
                if isinstance(
                    part, msgspec.inspect.StrType | msgspec.inspect.CollectionType | msgspec.inspect.DictType
                ):
                    assert part.max_length is not None, part


def parts(info: Any, seen: set[Any]) -> typing.Iterator[Any]:
    """Every type inside a type."""
    yield info
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen and not getattr(info.cls, "__parameters__", ()):
            return
        seen.add(info.cls)
        for field in info.fields:
            yield from parts(field.type, seen)
    for name in ("item_type", "key_type", "value_type", "type"):
        inner = getattr(info, name, None)
        if isinstance(inner, msgspec.inspect.Type):
            yield from parts(inner, seen)
    for name in ("types", "item_types"):
        for inner in getattr(info, name, ()):
            yield from parts(inner, seen)


def test_a_picture_does_not_leave_in_any_kind() -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x10JFIF" + random.Random(1).randbytes(200)
    for kind in Leaving:
        assert check(kind, jpeg) is not None, kind


def test_raw_pixels_and_sound_do_not_leave() -> None:
    for raw in (bytes(64 * 64 * 3), b"RIFF" + bytes(100), random.Random(2).randbytes(3000)):
        for kind in Leaving:
            assert check(kind, raw) is not None, kind


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (changed(RESULT, thumbnail="x"), "not_allowed"),
        (changed(RESULT, outputs=[{"label": "x" * 5000, "score": 1.0, "index": 1}]), "not_allowed"),
        (changed(RESULT, outputs=[{"label": "/9j/4AAQSkZJRg", "score": 1.0, "index": 1}]), "media"),
        (changed(RESULT, outputs=[{"label": "x", "score": 1.0, "index": 1}] * 300), "not_allowed"),
        (changed(RESULT, outputs=[{"label": "x", "score": 1.0, "index": 1, "crop": "x"}]), "not_allowed"),
        (changed(RESULT, model="x" * 64), "not_allowed"),
        (changed(RESULT, frame="x"), "not_allowed"),
        (changed(RESULT, frame={"width": 1, "height": 1, "rgb": [0]}), "not_allowed"),
        (RESULT[:-1], "not_allowed"),
        (b"[" * 90_000, "not_allowed"),
        (b" " * (MAX_PAYLOAD + 1), "too_large"),
        (b"", "not_allowed"),
    ],
)
def test_whatever_a_result_has_beyond_the_contract_keeps_it_here(event: bytes, reason: str) -> None:
    live, durable = check(Leaving.LIVE, event), check(Leaving.DURABLE, b"[" + event + b"]")
    assert live is not None
    assert durable is not None
    assert {live.reason, durable.reason} <= {reason, "too_large"}
    assert "\n" not in live.line


def test_one_bad_event_keeps_its_batch_here() -> None:
    assert check(Leaving.DURABLE, b"[" + RESULT + b"," + changed(RESULT, x=1) + b"]") is not None


def test_base64_of_a_picture_in_a_reason_keeps_the_report_here() -> None:
    bad = ReportedDeployment("d", "m", 1, DIGEST, "failed", reason=base64.b64encode(b"\xff\xd8\xff\xe0\x00").decode())
    refusal = check(Leaving.REPORTED, msgspec.json.encode(Reported(NODE, 1, 2, DIGEST, "t", (bad,))))
    assert refusal is not None
    assert refusal.reason == "media"


def test_tensors_leave_only_where_they_are_declared_and_as_large_as_that() -> None:
    event = tensor_event(8)
    size = len(msgspec.json.encode(msgspec.json.decode(event)["data"]["outputs"]))
    for most, leaves in ((None, False), (size - 1, False), (size, True)):
        refusal = check(Leaving.LIVE, event, lambda pipeline, most=most: Egress(tensor=most))  # type: ignore[misc]
        assert (refusal is None) is leaves
    assert check(
        Leaving.DURABLE, b"[" + event + b"]", lambda pipeline: Egress(tensor=9999 if pipeline == "x" else None)
    )


def test_no_declaration_is_larger_than_a_message() -> None:
    assert check(Leaving.LIVE, tensor_event(17_000), lambda _: Egress(tensor=MOST_EGRESS)) is not None


@pytest.mark.parametrize("kind", [Leaving.ALERTS, Leaving.HOMEASSISTANT])
def test_of_a_reserved_kind_nothing_leaves(kind: Leaving) -> None:
    refusal = check(kind, b"{}")
    assert refusal is not None
    assert refusal.reason == "reserved"


@pytest.mark.parametrize(
    ("kind", "text", "leaves"),
    [
        (Leaving.AVAILABILITY, b"online", True),
        (Leaving.AVAILABILITY, b"", True),
        (Leaving.AVAILABILITY, b"maybe", False),
        (Leaving.LIVE_STATE, "perroquet géant".encode(), True),
        (Leaving.LIVE_STATE, b"", True),
        (Leaving.LIVE_STATE, b"\xff\xd8\xff", False),
        (Leaving.LIVE_STATE, b"a\nb", False),
        (Leaving.LIVE_STATE, b"x" * 161, False),
        (Leaving.STATUS, b"", False),
    ],
)
def test_plain_texts_are_short_and_plain(kind: Leaving, text: bytes, leaves: bool) -> None:
    assert (check(kind, text) is None) is leaves


def test_every_topic_that_a_node_writes_has_a_kind_and_no_other_topic_has() -> None:
    topics = Topics("factory/edge")
    assert kind_of(topics.of_node(NODE, Kind.DURABLE), topics) is Leaving.DURABLE
    assert kind_of(topics.of_node(NODE, Kind.ALERTS, "disk"), topics) is Leaving.ALERTS
    assert kind_of(topics.live("s", "n", "p"), topics) is Leaving.LIVE
    assert kind_of(topics.live_state("s", "n", "p", "count"), topics) is Leaving.LIVE_STATE
    assert kind_of(topics.availability("s", "n"), topics) is Leaving.AVAILABILITY
    for strange in (
        topics.of_node(NODE, Kind.DESIRED),
        topics.live_state("s", "n", "p", "frame"),
        "edge/v1/live/s/n/p",
        "camera/raw",
        "",
    ):
        assert kind_of(strange, topics) is None


@given(some.binary(max_size=300))
def test_no_bytes_at_all_crash_the_check(payload: bytes) -> None:
    for kind in Leaving:
        check(kind, payload)


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=20),
        lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    some.sampled_from(["data", "frame", "outputs", "x"]),
)
def test_a_result_with_anything_else_in_it_is_refused_or_is_a_result(value: Any, key: str) -> None:
    event = changed(RESULT, **{key: value})
    if check(Leaving.LIVE, event) is None:
        assert msgspec.json.decode(event, type=result.Event[result.Classified]).data.pipeline == "shelf"


def test_the_fields_of_the_contract_are_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "egress.md").read_text(encoding="utf-8")
    for kind, allowed in CONTRACT.items():
        assert f"| `{kind}` |" in page
        assert str(allowed.max_bytes) in page


@pytest.mark.parametrize(
    ("labels", "facts", "leaves"),
    [
        ({"zone": "entrance"}, '{"hostname":"h","egress":{"live":false}}', True),
        ({}, "{}", True),
        ({"zone": "x" * 64}, "{}", False),
        ({str(number): "x" for number in range(65)}, "{}", False),
        ({}, '{"picture":"x"}', False),
        ({}, '{"hostname":"/9j/4AAQ"}', False),
        ({}, "\x00", False),
    ],
)
def test_what_a_node_says_of_itself_over_grpc_is_bounded_too(labels: dict[str, str], facts: str, leaves: bool) -> None:
    assert (check_request("cam-3", "", labels, facts) is None) is leaves
