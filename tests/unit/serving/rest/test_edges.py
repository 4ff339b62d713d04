"""The small decisions of REST: codings, paths, who may ask, how long connections may take, messages as JSON."""

import gzip
import zlib
from dataclasses import dataclass

import jsonschema
import msgspec
import pytest

from edge_node.serving.firewall.guard import Asking, Guard
from edge_node.serving.inference import Caller, Kind, ServingError
from edge_node.serving.patience import Doing, Limits, Phase, is_overdue, most_dispensable
from edge_node.serving.rest.admission import admit
from edge_node.serving.rest.coding import compressed, decompressed, wanted_coding
from edge_node.serving.rest.errors import STATUSES, HttpError
from edge_node.serving.rest.operations import HANDLERS
from edge_node.serving.rest.plain import plain
from edge_node.serving.rest.routes import route
from protos.inference import grpc_service_pb2 as oip
from protos.inference import model_config_pb2 as configured
from protos.inference.openapi import openapi, openapi_json
from protos.inference.rest import OPERATIONS

LIMITS = Limits(header_s=10, write_s=30)


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_what_tritonclient_compresses_is_read(coding: str, compress: object) -> None:
    assert callable(compress)
    assert decompressed(compress(b"abc"), coding, 3) == b"abc"


@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_what_is_compressed_is_read_by_tritonclient(coding: str, decompress: object) -> None:
    assert callable(decompress)
    assert decompress(compressed(b"abc" * 1000, coding)) == b"abc" * 1000


def test_a_bomb_is_too_large_and_is_not_unpacked() -> None:
    with pytest.raises(ServingError) as refusal:
        decompressed(gzip.compress(bytes(10_000_000)), "gzip", 1000)
    assert refusal.value.kind is Kind.TOO_LARGE


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"rubbish", "gzip"),
        (b"", "deflate"),
        (gzip.compress(b"abc", mtime=0)[:-1], "gzip"),
        (gzip.compress(b"a", mtime=0) + b"more", "gzip"),
        (b"abc", "br"),
        (b"abc", "gzip, gzip"),
    ],
)
def test_a_body_that_is_not_what_its_coding_says_is_refused(body: bytes, coding: str) -> None:
    with pytest.raises(ServingError) as refusal:
        decompressed(body, coding, 1000)
    assert refusal.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br", ""), ("", ""), ("identity", ""), ("br", "")],
)
def test_one_coding_is_a_wish_and_a_list_is_a_habit(accepted: str, coding: str) -> None:
    assert wanted_coding(accepted) == coding


@pytest.mark.parametrize(
    ("method", "path", "operation", "names"),
    [
        ("GET", "/v2", "server_metadata", {}),
        ("HEAD", "/v2/health/live", "server_live", {}),
        ("GET", "/v2/models/stats", "all_statistics", {}),
        ("GET", "/v2/models/m/stats", "model_statistics", {"model": "m"}),
        ("GET", "/v2/models/a%20b/versions/2/ready", "model_ready", {"model": "a b", "version": "2"}),
        ("POST", "/v2/models/m/infer/", "infer", {"model": "m"}),
        ("POST", "/v2/systemsharedmemory/region/r/unregister", "system_memory_unregister", {"region": "r"}),
    ],
)
def test_a_path_means_one_operation(method: str, path: str, operation: str, names: dict[str, str]) -> None:
    found, named = route(method, path)
    assert (found.id, named) == (operation, names)


def test_an_unknown_path_is_not_found_and_a_wrong_method_is_told_the_right_one() -> None:
    with pytest.raises(ServingError, match="nothing at") as refusal:
        route("GET", "/v2/models//ready")
    assert refusal.value.kind is Kind.NOT_FOUND
    with pytest.raises(HttpError) as wrong:
        route("DELETE", "/v2/models/m/infer")
    assert (wrong.value.status, wrong.value.headers) == (405, {"Allow": "POST"})


def test_every_operation_is_answered_and_every_kind_has_a_status() -> None:
    assert {operation.id for operation in OPERATIONS} == {*HANDLERS, "infer"}
    assert set(STATUSES) == set(Kind)


def test_pages_of_other_sites_are_looked_at() -> None:
    guard, here = Guard(), Asking("127.0.0.1")
    with admit(guard, here, "infer", {"Host": "node:8000", "Origin": "http://node:8000"}) as caller:
        assert caller == Caller("127.0.0.1")
    with pytest.raises(ServingError) as refusal:
        admit(guard, here, "infer", {"Host": "127.0.0.1:8000", "Origin": "https://evil.example"})
    assert (refusal.value.kind, refusal.value.cause) == (Kind.DENIED, "origin")


@pytest.mark.parametrize(
    ("doing", "overdue"),
    [
        (Doing(Phase.IDLE, 0), False),
        (Doing(Phase.BUSY, 0), False),
        (Doing(Phase.HEADER, 95), False),
        (Doing(Phase.HEADER, 89), True),
        (Doing(Phase.IDLE, 0, unsent_since=71), False),
        (Doing(Phase.IDLE, 0, unsent_since=69), True),
    ],
)
def test_heads_and_reading_answers_have_their_time(doing: Doing, overdue: bool) -> None:
    assert is_overdue(doing, now=100, limits=LIMITS) is overdue


@dataclass
class Known:
    """A connection."""

    doing: Doing


def test_the_one_that_waits_longest_is_dispensable_and_a_busy_one_never() -> None:
    busy, old, young = Known(Doing(Phase.BUSY, 0)), Known(Doing(Phase.HEADER, 1)), Known(Doing(Phase.IDLE, 2))
    assert most_dispensable([busy, young, old]) is old
    assert most_dispensable([busy]) is None


def test_messages_are_written_with_defaults_numbers_and_names() -> None:
    config = configured.ModelConfig(name="m", parameters={"a": configured.ModelParameter(string_value="b")})
    config.input.add(name="x", data_type=configured.DataType.TYPE_FP32, dims=[-1, 2**40])
    told = plain(config)
    assert told["input"] == [{"name": "x", "data_type": "TYPE_FP32", "format": "FORMAT_NONE", "dims": [-1, 2**40]}]
    assert told["parameters"] == {"a": {"string_value": "b"}}
    assert told["max_batch_size"] == 0
    assert "dynamic_batching" not in told
    assert plain(oip.ModelStatistics())["inference_stats"]["success"] == {"count": 0, "ns": 0}


def test_the_openapi_document_names_each_operation_once_and_its_schemas_are_schemas() -> None:
    document = msgspec.json.decode(openapi_json())
    identifiers = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(identifiers) == len(set(identifiers)) == len(OPERATIONS)
    for schema in openapi()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
