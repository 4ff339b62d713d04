"""Programs written for Triton's HTTP clients, unchanged, and what speaks plain JSON, against `edge-node serve`."""

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import jsonschema
import pytest

from tests.integration.serving_world import Running
from tests.triton import IN_ANY_WEATHER, Client

PROGRAMS = Path(__file__).parent / "clients" / "http_programs.py"
NAMES = (
    "health_and_metadata",
    "binary_and_json",
    "all_datatypes",
    "strings",
    "compression",
    "classification",
    "shared_memory_both_ways",
    "sequences",
    "many_at_once",
    "model_control",
    "mistakes",
    "bodies_of_its_own",
    "asyncio_client",
)
SIMPLE = {"shape": [1, 16], "datatype": "INT32", "data": list(range(16))}
pytestmark = pytest.mark.timeout(300)  # the first one downloads what the lock names


@pytest.fixture(scope="module")
def became(node: Running, triton_client: Client) -> dict[str, str]:
    """What became of each program: all run in one process, beside this one."""
    results: dict[str, str] = json.loads(triton_client(PROGRAMS, node.ready["http"]))
    return results


@pytest.mark.parametrize("name", NAMES)
def test_a_program_for_tritons_client_works_unchanged(name: str, became: dict[str, str]) -> None:
    assert became[name] == "ok", became[name]


def test_no_program_is_forgotten(became: dict[str, str]) -> None:
    assert set(became) == set(NAMES)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-m", "simple", "-b", "2", "--concurrency-range", "4"), id="batches"),
        pytest.param(
            ("-m", "simple", "--shared-memory", "system", "--output-shared-memory-size", "64"), id="shared memory"
        ),
    ],
)
def test_perf_analyzer_measures(options: tuple[str, ...], node: Running, perf_analyzer: Client) -> None:
    said = perf_analyzer(*options, "-u", node.ready["http"], "-i", "http", *IN_ANY_WEATHER)
    assert "Inferences/Second vs. Client" in said
    assert "Failed" not in said


def test_every_answer_is_what_the_openapi_document_says(node: Running) -> None:
    document = asked(node, "/v2/openapi.json")
    infer = {"id": "1", "inputs": [{"name": name, **SIMPLE} for name in ("INPUT0", "INPUT1")]}
    for path, pattern, body in (
        ("/v2", "/v2", None),
        ("/v2/models/simple", "/v2/models/{model}", None),
        ("/v2/models/simple_sequence/versions/1/config", "/v2/models/{model}/versions/{version}/config", None),
        ("/v2/models/simple/infer", "/v2/models/{model}/infer", infer),
        ("/v2/models/simple/stats", "/v2/models/{model}/stats", None),
        ("/v2/repository/index", "/v2/repository/index", {"ready": True}),
        ("/v2/systemsharedmemory/status", "/v2/systemsharedmemory/status", None),
    ):
        operation = document["paths"][pattern]["get" if body is None else "post"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(asked(node, path, body), {**schema, "components": document["components"]})


def asked(node: Running, path: str, body: object = None) -> Any:
    """The JSON of an answer, without any client library."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"http://{node.ready['http']}{path}", data)) as response:
        return json.load(response)
