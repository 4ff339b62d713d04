"""Programs written for Triton's gRPC clients, unchanged, against `edge-node serve`."""

from pathlib import Path

import pytest

from tests.integration.serving_world import Running
from tests.triton import IN_ANY_WEATHER, Client

CLIENTS = Path(__file__).parent / "clients"
pytestmark = pytest.mark.timeout(300)  # the first one downloads what the lock names


@pytest.mark.parametrize("program", sorted(CLIENTS.glob("grpc_*.py")), ids=lambda path: path.stem.removeprefix("grpc_"))
def test_a_program_for_tritons_client_works_unchanged(program: Path, node: Running, triton_client: Client) -> None:
    assert triton_client(program, node.ready["grpc"]).splitlines()[-1].startswith("PASS")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-m", "simple", "-b", "2", "--concurrency-range", "4"), id="batches"),
        pytest.param(("-m", "simple", "--streaming", "--async", "--concurrency-range", "4"), id="a stream"),
        pytest.param(
            ("-m", "simple", "--shared-memory", "system", "--output-shared-memory-size", "64"), id="shared memory"
        ),
        pytest.param(("-m", "simple_sequence", "--concurrency-range", "2"), id="sequences"),
        pytest.param(("-m", "simple_string", "--string-data", "7"), id="texts"),
        pytest.param(("-m", "dynamic", "--shape", "INPUT0:1,4,4"), id="open axes"),
    ],
)
def test_perf_analyzer_measures(options: tuple[str, ...], node: Running, perf_analyzer: Client) -> None:
    said = perf_analyzer(*options, "-u", node.ready["grpc"], "-i", "grpc", *IN_ANY_WEATHER)
    assert "Inferences/Second vs. Client" in said
    assert "Failed" not in said
